package import NIOCore

/// The client's half of RFC 4252, with one key or a password.
///
/// States:
/// - `initial`: nothing sent; `start` → `awaitingService`.
/// - `awaitingService`: `ssh-userauth` was asked for; its acceptance sends a query → `querying`, or the password →
///   `signing`.
/// - `querying`: the server was asked whether the key would do; PK_OK sends the signed request → `signing`.
/// - `signing`: the request that proves it is out; SUCCESS → `done`, FAILURE → `failed`.
/// - `done`, `failed`: nothing more is expected.
package struct ClientAuthenticationMachine: ~Copyable {
    package enum Effect: Sendable {
        /// A payload for the server.
        case send(ByteBuffer)
        case succeeded
        /// The key was refused; the methods the server would take.
        case failed(methods: [String])
        /// A text for the user; it may hold control characters (RFC 4252 §5.4).
        case banner(String)
    }

    package enum Proof {
        case key(PrivateKey)
        /// RFC 4252 §8.
        case password([UInt8])
    }

    private enum State {
        case initial
        case awaitingService
        case querying
        case signing
        case done
        case failed
    }

    private var state = State.initial
    private let user: String
    private let proof: Proof
    private let algorithm: String
    private let sessionID: [UInt8]
    private let hostKeyBlob: [UInt8]?

    /// - Parameters:
    ///   - user: the name to log in as.
    ///   - proof: what proves it.
    ///   - sessionID: the exchange hash of the first key exchange.
    ///   - hostKeyBlob: the server's host key, when its EXT_INFO has `publickey-hostbound@openssh.com`; else `nil`.
    ///   - serverSignatureAlgorithms: its EXT_INFO's `server-sig-algs`, or `nil` without one.
    package init(
        user: String, proof: Proof, sessionID: [UInt8], hostKeyBlob: [UInt8]?,
        serverSignatureAlgorithms: [String]? = nil
    ) {
        self.user = user
        self.proof = proof
        self.sessionID = sessionID
        self.hostKeyBlob = hostKeyBlob
        let own = if case .key(let key) = proof { key.signatureAlgorithms } else { [String]() }
        algorithm = own.first { serverSignatureAlgorithms?.contains($0) ?? true } ?? own.first ?? ""
    }

    package mutating func start() -> [Effect] {
        state = .awaitingService
        var request = ByteBuffer()
        request.writeInteger(MessageNumber.serviceRequest)
        request.writeSSHString("ssh-userauth")
        return [.send(request)]
    }

    /// Takes a payload that is not the transport's own.
    /// - Throws: `Disconnect` when the server broke the protocol, or the key could not sign.
    package mutating func receive(_ payload: ByteBuffer) throws(Disconnect) -> [Effect] {
        var rest = payload
        let malformed = Disconnect.violation("malformed authentication message")
        switch (state, rest.readInteger(as: UInt8.self)) {
        case (.awaitingService, MessageNumber.serviceAccept):
            guard rest.readSSHText() == "ssh-userauth" else { throw malformed }
            switch proof {
            case .key(let key):
                state = .querying
                return [.send(request(key, isSigned: false))]
            case .password(let password):
                state = .signing
                return [.send(request(password))]
            }
        case (.querying, MessageNumber.userauthPKOK):
            guard case .key(let key) = proof, rest.readSSHText() == algorithm, let blob = rest.readSSHBytes(),
                blob == key.publicKey.blob
            else {
                throw .violation("server accepts a key that was not offered")
            }
            state = .signing
            var request = request(key, isSigned: true)
            do throws(KeyError) {
                let data = signedData(session: sessionID, request)
                request.writeSSHString(try key.sign(data, algorithm: algorithm))
            } catch {
                throw Disconnect(.authCancelledByUser, error.text)
            }
            return [.send(request)]
        case (.signing, MessageNumber.userauthSuccess):
            state = .done
            return [.succeeded]
        case (.querying, MessageNumber.userauthFailure), (.signing, MessageNumber.userauthFailure):
            guard let methods = rest.readSSHNameList(), rest.readSSHBoolean() != nil else { throw malformed }
            state = .failed
            return [.failed(methods: methods)]
        case (.awaitingService, MessageNumber.userauthBanner), (.querying, MessageNumber.userauthBanner),
            (.signing, MessageNumber.userauthBanner):
            guard let text = rest.readSSHText() else { throw malformed }
            return [.banner(text)]
        default:
            throw .violation("unexpected message during authentication")
        }
    }

    /// A request up to its signature.
    private func request(_ key: PrivateKey, isSigned: Bool) -> ByteBuffer {
        var request = ByteBuffer()
        request.writeInteger(MessageNumber.userauthRequest)
        request.writeSSHString(user)
        request.writeSSHString("ssh-connection")
        request.writeSSHString(
            hostKeyBlob == nil ? UserAuthenticationRequest.publicKey : UserAuthenticationRequest.hostbound)
        request.writeSSHBoolean(isSigned)
        request.writeSSHString(algorithm)
        request.writeSSHString(key.publicKey.blob)
        if let hostKeyBlob { request.writeSSHString(hostKeyBlob) }
        return request
    }

    private func request(_ password: [UInt8]) -> ByteBuffer {
        var request = ByteBuffer()
        request.writeInteger(MessageNumber.userauthRequest)
        request.writeSSHString(user)
        request.writeSSHString("ssh-connection")
        request.writeSSHString(UserAuthenticationRequest.password)
        request.writeSSHBoolean(false)
        request.writeSSHString(password)
        return request
    }
}
