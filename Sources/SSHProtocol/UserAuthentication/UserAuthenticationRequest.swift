import NIOCore

/// SSH_MSG_USERAUTH_REQUEST (RFC 4252 §5) as far as this server knows its methods.
struct UserAuthenticationRequest {
    enum Method {
        /// RFC 4252 §5.2: asks which methods there are.
        case none
        case publicKey(PublicKeyMethod)
        /// RFC 4252 §8.
        case password(ByteBuffer)
        case unknown(String)
    }

    /// RFC 4252 §7, and `publickey-hostbound-v00@openssh.com` of OpenSSH's PROTOCOL.
    struct PublicKeyMethod {
        var algorithm: String
        var blob: ByteBuffer
        /// The server's host key that the client has seen, in a hostbound request.
        var hostKey: ByteBuffer?
        /// `nil` when the client only asks whether the key would do.
        var signature: ByteBuffer?
        /// Everything before the signature, as it was received: what the client signs after the session identifier.
        var signed: ByteBuffer
    }

    var user: String
    var service: String
    var method: Method

    static let publicKey = "publickey"
    static let password = "password"
    static let hostbound = "publickey-hostbound-v00@openssh.com"

    /// A longer name is no one's.
    private static let maximumNameLength = 1024

    init(_ payload: ByteBuffer) throws(Disconnect) {
        let malformed = Disconnect.violation("malformed authentication request")
        var rest = payload
        guard rest.readInteger(as: UInt8.self) == MessageNumber.userauthRequest,
            let user = rest.readSSHText(), let service = rest.readSSHText(), let method = rest.readSSHText(),
            user.utf8.count <= Self.maximumNameLength
        else { throw malformed }
        self.user = user
        self.service = service
        switch method {
        case "none":
            self.method = .none
        case Self.publicKey, Self.hostbound:
            guard let hasSignature = rest.readSSHBoolean(), let algorithm = rest.readSSHText(),
                let blob = rest.readSSHString()
            else { throw malformed }
            var key = PublicKeyMethod(algorithm: algorithm, blob: blob, signed: payload)
            if method == Self.hostbound {
                guard let hostKey = rest.readSSHString() else { throw malformed }
                key.hostKey = hostKey
            }
            key.signed =
                payload.getSlice(at: payload.readerIndex, length: rest.readerIndex - payload.readerIndex) ?? payload
            if hasSignature {
                guard let signature = rest.readSSHString() else { throw malformed }
                key.signature = signature
            }
            guard rest.readableBytes == 0 else { throw malformed }
            self.method = .publicKey(key)
        case Self.password:
            guard let isChange = rest.readSSHBoolean(), let password = rest.readSSHString() else { throw malformed }
            // There is nothing here that could be changed: a change is refused as an unknown method is.
            self.method = isChange ? .unknown(method) : .password(password)
        default:
            self.method = .unknown(method)
        }
    }
}
