import Glibc
import SSHProtocol
import Testing

@testable import SSHClient

@Suite struct ClientIdentityTests {
    private func withFile(_ text: String, mode: mode_t, _ body: (String) throws -> Void) throws {
        var template = Array("/tmp/telepresence-identity-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor >= 0)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        fchmod(descriptor, mode)
        close(descriptor)
        try body(path)
    }

    @Test func aPrivateFileIsRead() throws {
        let key = PrivateKey.generateEd25519(comment: "me")
        try withFile(key.openSSH, mode: 0o600) { path in
            let identity = try ClientIdentity(path: path)
            #expect(identity.path == path)
        }
    }

    @Test(arguments: [0o640, 0o604, 0o644] as [mode_t]) func aFileOthersMayReadIsRefused(_ mode: mode_t) throws {
        try withFile(PrivateKey.generateEd25519(comment: "").openSSH, mode: mode) { path in
            let error = #expect(throws: SSHClientError.self) { try ClientIdentity(path: path) }
            #expect(error?.exitCode == 2)
            #expect(error?.text.contains("chmod 600") == true)
        }
    }

    @Test(arguments: [
        "", "ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    ])
    func whatIsNoKeyIsRefused(_ text: String) throws {
        try withFile(text, mode: 0o600) { path in
            let error = #expect(throws: SSHClientError.self) { try ClientIdentity(path: path) }
            #expect(error?.kind == .badInput)
            #expect(error?.text.hasPrefix(path) == true)
        }
    }

    @Test func aMissingFileIsNamed() {
        let error = #expect(throws: SSHClientError.self) { try ClientIdentity(path: "/nowhere/key") }
        #expect(error?.text.contains("/nowhere/key") == true)
    }
}
