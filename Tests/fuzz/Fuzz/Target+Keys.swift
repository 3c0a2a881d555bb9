import NIOCore
import SSHProtocol

extension Target {
    /// A key that may log in. Its other half is thrown away, so nobody does.
    private static let authorized = PrivateKey.generateEd25519(comment: "").publicKey

    private static let plainKeys: [PrivateKey] = [
        .generateEd25519(comment: "a comment"), .generateECDSA256(comment: ""),
    ]

    private static func certificate() -> [UInt8] {
        let authority = PrivateKey.generateEd25519(comment: "")
        var blob = ByteBuffer()
        blob.writeSSHString("ssh-ed25519-cert-v01@openssh.com")
        blob.writeSSHString("nonce")
        blob.writeBytes(authorized.blob.suffix(36))
        blob.writeInteger(1, as: UInt64.self)
        blob.writeInteger(1, as: UInt32.self)
        blob.writeSSHString("key id")
        blob.writeSSHString { $0.writeSSHString("alice") }
        blob.writeInteger(0, as: UInt64.self)
        blob.writeInteger(.max, as: UInt64.self)
        blob.writeSSHString { buffer in
            buffer.writeSSHString("force-command")
            buffer.writeSSHString { $0.writeSSHString("status") }
        }
        blob.writeSSHString { buffer in
            buffer.writeSSHString("permit-port-forwarding")
            buffer.writeSSHString("")
        }
        blob.writeSSHString("")
        blob.writeSSHString(authority.publicKey.blob)
        if let signature = try? authority.sign(blob, algorithm: "ssh-ed25519") { blob.writeSSHString(signature) }
        return Array(blob.readableBytesView)
    }

    private static func request(_ key: PublicKey, signature: ByteBuffer?) -> ByteBuffer {
        var request = ByteBuffer(integer: UInt8(50))
        request.writeSSHString("dev")
        request.writeSSHString("ssh-connection")
        request.writeSSHString("publickey")
        request.writeSSHBoolean(signature != nil)
        request.writeSSHString(key.algorithmName)
        request.writeSSHString(key.blob)
        if let signature { request.writeSSHString(signature) }
        return request
    }

    private static func signature() -> ByteBuffer {
        (try? plainKeys[0].sign([1, 2, 3], algorithm: "ssh-ed25519")) ?? ByteBuffer()
    }

    static let keys: [Target] = [
        // A key blob, and a signature by it.
        Target(name: "key") {
            (plainKeys.map(\.publicKey.blob) + [certificate()]).map { blob in
                framed([ByteBuffer(bytes: blob), signature()])
            }
        } run: { bytes in
            let parts = payloads(in: bytes)
            guard let blob = parts.first, let key = try? PublicKey(blob: blob) else { return }
            precondition(key.blob == Array(blob.readableBytesView))
            precondition((try? PublicKey(openSSH: key.openSSHLine)) == key, "a key is not read as it was written")
            precondition(key.fingerprint.hasPrefix("SHA256:"))
            for algorithm in PublicKey.signatureAlgorithms + [key.algorithmName] {
                let check = key.verify(
                    signature: parts.dropFirst().first ?? ByteBuffer(), algorithm: algorithm, data: [9])
                precondition(check == .invalid, "a signature was forged")
            }
        },
        Target(name: "private-key") {
            plainKeys.map { Array($0.openSSH.utf8) }
        } run: { bytes in
            guard let key = try? PrivateKey(openSSH: String(decoding: bytes, as: UTF8.self)) else { return }
            precondition((try? PrivateKey(openSSH: key.openSSH))?.publicKey == key.publicKey)
        },
        // Messages of a client that has no key.
        Target(name: "authentication") {
            var service = ByteBuffer(integer: UInt8(5))
            service.writeSSHString("ssh-userauth")
            return [
                framed([
                    service, request(authorized, signature: nil), request(authorized, signature: signature()),
                    request(plainKeys[0].publicKey, signature: signature()),
                ])
            ]
        } run: { bytes in
            var machine = ServerAuthenticationMachine(sessionID: [1, 2, 3], hostKeyBlob: [4, 5, 6])
            do throws(Disconnect) {
                for payload in payloads(in: bytes) {
                    _ = try machine.receive(payload) { key, _, _ in
                        key == authorized ? .allowed(KeyPermissions(), comment: "") : .refused("not listed")
                    }
                }
            } catch {}
            let isAuthenticated = machine.isAuthenticated
            precondition(!isAuthenticated, "logged in without a key")
        },
    ]
}
