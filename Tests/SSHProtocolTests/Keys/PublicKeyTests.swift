import Crypto
import NIOCore
import Testing

@testable import SSHProtocol

@Suite struct PublicKeyTests {
    static let types = ["ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa"]

    static func line(_ type: String) -> String {
        switch type {
        case "ed25519": KeyFixtures.ed25519Public
        case "ecdsa256": KeyFixtures.ecdsa256Public
        case "ecdsa384": KeyFixtures.ecdsa384Public
        case "ecdsa521": KeyFixtures.ecdsa521Public
        default: KeyFixtures.rsaPublic
        }
    }

    static func fingerprint(_ type: String) -> String {
        switch type {
        case "ed25519": KeyFixtures.ed25519Fingerprint
        case "ecdsa256": KeyFixtures.ecdsa256Fingerprint
        case "ecdsa384": KeyFixtures.ecdsa384Fingerprint
        case "ecdsa521": KeyFixtures.ecdsa521Fingerprint
        default: KeyFixtures.rsaFingerprint
        }
    }

    static func signatureFile(_ type: String) -> String {
        switch type {
        case "ed25519": KeyFixtures.ed25519Signature
        case "ecdsa256": KeyFixtures.ecdsa256Signature
        case "ecdsa384": KeyFixtures.ecdsa384Signature
        case "ecdsa521": KeyFixtures.ecdsa521Signature
        default: KeyFixtures.rsaSignature
        }
    }

    /// What is in a file of `ssh-keygen -Y sign` (PROTOCOL.sshsig), and the bytes it signs.
    static func signature(_ type: String) throws -> (blob: ByteBuffer, algorithm: String, data: [UInt8]) {
        var file = ByteBuffer(bytes: try PEMDocument(signatureFile(type)).bytes)
        _ = file.readBytes(length: 10)
        _ = file.readSSHString()
        guard let namespace = file.readSSHString(), let reserved = file.readSSHString(),
            let hash = file.readSSHText(), let blob = file.readSSHString(),
            let algorithm = blob.getSlice(at: blob.readerIndex, length: blob.readableBytes).flatMap({
                var name = $0
                return name.readSSHText()
            })
        else { throw KeyError("signature file is malformed") }
        let message = Array("the message".utf8)
        var signed = ByteBuffer(string: "SSHSIG")
        signed.writeSSHString(namespace)
        signed.writeSSHString(reserved)
        signed.writeSSHString(hash)
        signed.writeSSHString(
            hash == "sha256" ? Array(SHA256.hash(data: message)) : Array(SHA512.hash(data: message)))
        return (blob, algorithm, Array(signed.readableBytesView))
    }

    @Test(arguments: types) func readsWhatSSHKeygenWrites(type: String) throws {
        let key = try PublicKey(openSSH: Self.line(type))
        #expect(key.fingerprint == Self.fingerprint(type))
        #expect(Self.line(type).hasPrefix(key.openSSHLine + " "))
        #expect(try PublicKey(blob: ByteBuffer(bytes: key.blob)) == key)
        #expect(key.certificate == nil)
    }

    @Test(arguments: types) func verifiesSignaturesOfSSHKeygen(type: String) throws {
        let key = try PublicKey(openSSH: Self.line(type))
        let (blob, algorithm, data) = try Self.signature(type)
        #expect(
            key.verify(signature: blob, algorithm: algorithm, data: data)
                == .valid(userPresence: true, userVerification: true))
        #expect(key.verify(signature: blob, algorithm: algorithm, data: data + [0]) == .invalid)
        for other in PublicKey.signatureAlgorithms + ["ssh-rsa", ""] where other != algorithm {
            #expect(key.verify(signature: blob, algorithm: other, data: data) == .invalid)
        }
    }

    /// A flipped bit anywhere, a missing or an additional byte: never valid, never a trap.
    @Test(arguments: types) func refusesAlteredSignatures(type: String) throws {
        let key = try PublicKey(openSSH: Self.line(type))
        let (blob, algorithm, data) = try Self.signature(type)
        let bytes = Array(blob.readableBytesView)
        for index in bytes.indices {
            var altered = bytes
            altered[index] ^= 1 << UInt8(index % 8)
            #expect(key.verify(signature: ByteBuffer(bytes: altered), algorithm: algorithm, data: data) == .invalid)
            let cut = ByteBuffer(bytes: bytes[..<index])
            #expect(key.verify(signature: cut, algorithm: algorithm, data: data) == .invalid)
        }
        let longer = ByteBuffer(bytes: bytes + [0])
        #expect(key.verify(signature: longer, algorithm: algorithm, data: data) == .invalid)
    }

    @Test(arguments: types) func neverTrapsOnAlteredBlobs(type: String) throws {
        let blob = try PublicKey(openSSH: Self.line(type)).blob
        let (signature, algorithm, data) = try Self.signature(type)
        for index in blob.indices {
            #expect(throws: KeyError.self) { try PublicKey(blob: ByteBuffer(bytes: blob[..<index])) }
            var altered = blob
            altered[index] ^= 1 << UInt8(index % 8)
            // Some are keys all the same, of no one.
            guard let key = try? PublicKey(blob: ByteBuffer(bytes: altered)) else { continue }
            #expect(key.verify(signature: signature, algorithm: algorithm, data: data) == .invalid)
        }
        #expect(throws: KeyError.self) { try PublicKey(blob: ByteBuffer(bytes: blob + [0])) }
    }

    /// CVE class: r and s wider than the curve's order, empty, negative, with leading zeros.
    @Test(arguments: ["ecdsa256", "ecdsa384", "ecdsa521"])
    func checksWidthsOfECDSASignatures(type: String) throws {
        let key = try PublicKey(openSSH: Self.line(type))
        let name = key.algorithmName
        func verify(_ r: [UInt8], _ s: [UInt8]) -> SignatureCheck {
            var blob = ByteBuffer()
            blob.writeSSHString(name)
            blob.writeSSHString { buffer in
                buffer.writeSSHString(r)
                buffer.writeSSHString(s)
            }
            return key.verify(signature: blob, algorithm: name, data: [1, 2, 3])
        }
        let values: [[UInt8]] = [
            [], [0], [1], [0x80], [0, 1], [0, 0x80], [UInt8](repeating: 0x7f, count: 31),
            [UInt8](repeating: 0x7f, count: 32), [UInt8](repeating: 0x7f, count: 67),
            [0] + [UInt8](repeating: 0xff, count: 66), [UInt8](repeating: 0x11, count: 100_000),
        ]
        for r in values {
            for s in values { #expect(verify(r, s) == .invalid) }
        }
    }

    @Test func refusesPointsNotOnTheCurve() throws {
        var blob = try PublicKey(openSSH: KeyFixtures.ecdsa256Public).blob
        blob[blob.count - 1] ^= 1
        #expect(throws: KeyError("ECDSA key is not a point of nistp256")) {
            try PublicKey(blob: ByteBuffer(bytes: blob))
        }
    }

    @Test(arguments: [
        (PEMFixtures.rsa1024Public, "RSA key has 1024 bits, expected 2048 to 16384"),
        (PEMFixtures.dsaPublic, "key type ssh-dss is not supported"),
        ("ssh-ed25519", "not a public key, expected a key type and base64"),
        ("", "not a public key, expected a key type and base64"),
        ("ssh-ed25519 %%%%", "ssh-ed25519 key is not valid base64"),
        ("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA==", "Ed25519 key is malformed, expected 32 bytes"),
    ])
    func saysWhatIsWrong(line: String, text: String) {
        #expect(throws: KeyError(text)) { try PublicKey(openSSH: line) }
    }

    @Test func refusesATypeThatIsNotTheBlobs() {
        let line = KeyFixtures.ed25519Public.replacing("ssh-ed25519 ", with: "ecdsa-sha2-nistp256 ")
        #expect(throws: KeyError("key is a ssh-ed25519, not the ecdsa-sha2-nistp256 named beside it")) {
            try PublicKey(openSSH: line)
        }
    }

    @Test(
        arguments: [
            [], [0], [1], [2], [0x01, 0x00, 0x00], [UInt8](repeating: 0xff, count: 9),
        ] as [[UInt8]])
    func refusesUnusableExponents(exponent: [UInt8]) {
        var blob = ByteBuffer()
        blob.writeSSHString("ssh-rsa")
        blob.writeSSHUnsignedMPInt(exponent)
        blob.writeSSHUnsignedMPInt([UInt8](repeating: 0xff, count: 256))
        #expect(throws: KeyError.self) { try PublicKey(blob: blob) }
    }

    @Test(arguments: [(2047, false), (2048, true), (16384, true), (16392, false)])
    func boundsTheModulus(bits: Int, isAccepted: Bool) {
        var modulus = [UInt8](repeating: 0xff, count: (bits + 7) / 8)
        if bits % 8 != 0 { modulus[0] = 0xff >> UInt8(8 - bits % 8) }
        var blob = ByteBuffer()
        blob.writeSSHString("ssh-rsa")
        blob.writeSSHUnsignedMPInt([1, 0, 1] as [UInt8])
        blob.writeSSHUnsignedMPInt(modulus)
        let key = try? PublicKey(blob: blob)
        #expect((key != nil) == isAccepted)
        guard let key else { return }
        var signature = ByteBuffer()
        signature.writeSSHString("rsa-sha2-256")
        signature.writeSSHString([UInt8](repeating: 1, count: modulus.count))
        #expect(key.verify(signature: signature, algorithm: "rsa-sha2-256", data: [1]) == .invalid)
    }

    @Test func listsWhatTheServerAccepts() {
        #expect(
            PublicKey.signatureAlgorithms == [
                "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
                "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "rsa-sha2-512", "rsa-sha2-256",
            ])
    }

    @Test func allowsOnlyAlgorithmsOfItsType() throws {
        let rsa = try PublicKey(openSSH: KeyFixtures.rsaPublic)
        #expect(rsa.allows(algorithm: "rsa-sha2-256") && rsa.allows(algorithm: "rsa-sha2-512"))
        #expect(!rsa.allows(algorithm: "ssh-rsa") && !rsa.allows(algorithm: "ssh-ed25519"))
        let certificate = try PublicKey(openSSH: CertificateFixtures.ofRsa)
        #expect(certificate.allows(algorithm: "rsa-sha2-512-cert-v01@openssh.com"))
        #expect(!certificate.allows(algorithm: "rsa-sha2-512"))
        #expect(!certificate.allows(algorithm: "ssh-rsa-cert-v01@openssh.com"))
    }

    @Test(arguments: [0, 1, 4, 5] as [UInt8]) func reportsWhatASecurityKeySaw(flags: UInt8) throws {
        let keys = [
            (SecurityKeyFixtures.ed25519Blob, SecurityKeyFixtures.ed25519Signatures, "sk-ssh-ed25519@openssh.com"),
            (SecurityKeyFixtures.ecdsaBlob, SecurityKeyFixtures.ecdsaSignatures, "sk-ecdsa-sha2-nistp256@openssh.com"),
        ]
        for (blob, signatures, name) in keys {
            let key = try PublicKey(blob: ByteBuffer(bytes: try #require(Base64.decode(blob.utf8))))
            #expect(key.algorithmName == name)
            let base64 = try #require(signatures[flags])
            let signature = try #require(Base64.decode(base64.utf8))
            let data = Array("the message".utf8)
            #expect(
                key.verify(signature: ByteBuffer(bytes: signature), algorithm: name, data: data)
                    == .valid(userPresence: flags & 1 != 0, userVerification: flags & 4 != 0))
            // The flags are signed: none can be added.
            for index in signature.indices {
                var altered = signature
                altered[index] ^= index == signature.count - 5 ? 5 : 1
                #expect(key.verify(signature: ByteBuffer(bytes: altered), algorithm: name, data: data) == .invalid)
            }
            #expect(
                key.verify(signature: ByteBuffer(bytes: signature.dropLast()), algorithm: name, data: data) == .invalid)
        }
    }
}
