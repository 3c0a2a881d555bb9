package import NIOCore

/// The server's half of RFC 4252: who the client is, proved by a key, or by a token that somebody else vouches for.
///
/// States:
/// - `awaitingService`: nothing but a request for `ssh-userauth` is taken; then → `authenticating`.
/// - `authenticating`: requests are answered, each on its own; the first that proves an authorised key → `done`; a token
///   → `checking`.
/// - `checking`: whoever vouches for tokens is being asked; its answer → `done`, or → `authenticating`.
/// - `done`: further requests are ignored (RFC 4252 §5.3).
/// - `failed`: the client broke the protocol or used up its attempts, and was told by `Disconnect`.
///
/// Nothing is carried from one request to the next but the count of failures, so there is nothing to flush when the
/// user or the service changes, and the key that is authorised is always the one that signed the request at hand.
package struct ServerAuthenticationMachine: ~Copyable {
    package enum Effect: Sendable {
        /// A payload for the client.
        case send(ByteBuffer)
        /// The client is who it says; comes after the payload that tells it so.
        case succeeded(ServerAuthentication)
        /// `tokenChecked` is to be called, once.
        case checkToken(String)
        /// One line for the log: whose request was refused, and why.
        case failedAttempt(String)
    }

    /// Whether a key may log in as a user; asked without a check before anything is verified, and again with it.
    package typealias Authorize = (PublicKey, String, SignatureCheck?) -> AuthorizationDecision

    private enum State {
        case awaitingService
        case authenticating
        case checking
        case done
        case failed
    }

    private var state = State.awaitingService
    private var failures = 0
    private var requests = 0
    private var attempts = 0
    private let sessionID: [UInt8]
    private let hostKeyBlob: [UInt8]
    private let maxAttempts: Int
    private let tokenUser: String?

    /// Queries that are answered with yes cost the client no attempt: this bounds them. An agent offers a few dozen keys.
    package static let maximumRequests = 256
    /// A service account's token has 1 to 2 KiB.
    static let maximumTokenLength = 8192

    /// - Parameters:
    ///   - sessionID: the exchange hash of the first key exchange.
    ///   - hostKeyBlob: the host key of the first key exchange, which a hostbound request must name.
    ///   - maxAttempts: sshd's MaxAuthTries.
    ///   - tokenUser: the only user whose passwords are looked at, as tokens; `nil` for none.
    package init(sessionID: [UInt8], hostKeyBlob: [UInt8], maxAttempts: Int = 6, tokenUser: String? = nil) {
        self.sessionID = sessionID
        self.hostKeyBlob = hostKeyBlob
        self.maxAttempts = maxAttempts
        self.tokenUser = tokenUser
    }

    package var isAuthenticated: Bool { state == .done }

    /// Takes a payload that is not the transport's own.
    /// - Throws: `Disconnect` when the client broke the protocol, asked for another service, or failed too often.
    package mutating func receive(
        _ payload: ByteBuffer, authorize: Authorize
    ) throws(Disconnect) -> [Effect] {
        do throws(Disconnect) {
            return try handle(payload, authorize: authorize)
        } catch {
            state = .failed
            throw error
        }
    }

    private mutating func handle(_ payload: ByteBuffer, authorize: Authorize) throws(Disconnect) -> [Effect] {
        let number = payload.getInteger(at: payload.readerIndex, as: UInt8.self)
        switch (state, number) {
        case (.done, MessageNumber.userauthRequest):
            return []
        case (.awaitingService, MessageNumber.serviceRequest), (.authenticating, MessageNumber.serviceRequest):
            // Some clients ask for the service again before each attempt.
            try countRequest()
            return [.send(try accept(serviceRequest: payload))]
        case (.authenticating, MessageNumber.userauthRequest):
            try countRequest()
            attempts += 1
            return try handle(UserAuthenticationRequest(payload), authorize: authorize)
        case (.checking, _):
            throw .violation("message while a token is being checked")
        case (.failed, _):
            throw .violation("message after authentication failed")
        default:
            let shown = number.map { "message \($0)" } ?? "empty message"
            throw .violation("\(shown) is not allowed \(state == .done ? "after" : "before") authentication")
        }
    }

    private mutating func countRequest() throws(Disconnect) {
        requests += 1
        guard requests <= Self.maximumRequests else { throw Self.tooManyFailures }
    }

    private mutating func accept(serviceRequest payload: ByteBuffer) throws(Disconnect) -> ByteBuffer {
        var rest = payload
        rest.moveReaderIndex(forwardBy: 1)
        guard let service = rest.readSSHText(), rest.readableBytes == 0 else {
            throw .violation("malformed service request")
        }
        guard service == "ssh-userauth" else {
            throw Disconnect(.serviceNotAvailable, "service \(service.printable) is not available")
        }
        state = .authenticating
        var answer = ByteBuffer()
        answer.writeInteger(MessageNumber.serviceAccept)
        answer.writeSSHString(service)
        return answer
    }

    private mutating func handle(
        _ request: UserAuthenticationRequest, authorize: Authorize
    ) throws(Disconnect) -> [Effect] {
        guard request.service == "ssh-connection" else {
            throw Disconnect(.serviceNotAvailable, "service \(request.service.printable) is not available")
        }
        switch request.method {
        case .none:
            // The first is how a client learns of the methods (sshd: auth2.c, userauth_finish).
            return try fail(request.user, "asked for no authentication", isFree: attempts == 1)
        case .password(let password):
            return try handle(password: password, of: request)
        case .unknown(let method):
            return try fail(request.user, "method \(method.printable) is not supported")
        case .publicKey(let method):
            return try handle(method, of: request, authorize: authorize)
        }
    }

    private mutating func handle(
        _ method: UserAuthenticationRequest.PublicKeyMethod, of request: UserAuthenticationRequest, authorize: Authorize
    ) throws(Disconnect) -> [Effect] {
        let key: PublicKey
        do throws(KeyError) {
            key = try PublicKey(blob: method.blob)
        } catch {
            return try fail(request.user, error.text)
        }
        guard key.allows(algorithm: method.algorithm) else {
            return try fail(
                request.user, "algorithm \(method.algorithm.printable) does not go with \(key.algorithmName)")
        }
        if let hostKey = method.hostKey, !hostKey.readableBytesView.elementsEqual(hostKeyBlob) {
            return try fail(request.user, "request is bound to a host key that is not ours")
        }
        // A key that is not listed is refused before the cost of verifying.
        if case .refused(let reason) = authorize(key, request.user, nil) { return try fail(request.user, reason) }
        guard let signature = method.signature else { return [.send(Self.acceptable(method))] }
        let check = key.verify(
            signature: signature, algorithm: method.algorithm, data: signedData(session: sessionID, method.signed))
        guard check != .invalid else {
            return try fail(request.user, "signature of \(key.fingerprint) is not valid")
        }
        switch authorize(key, request.user, check) {
        case .refused(let reason):
            return try fail(request.user, reason)
        case .allowed(let permissions, let comment):
            return succeed(
                ServerAuthentication(
                    user: request.user, keyFingerprint: key.fingerprint, permissions: permissions, comment: comment))
        }
    }

    private mutating func succeed(_ authentication: ServerAuthentication) -> [Effect] {
        state = .done
        var answer = ByteBuffer()
        answer.writeInteger(MessageNumber.userauthSuccess)
        return [.send(answer), .succeeded(authentication)]
    }

    // MARK: Tokens

    private mutating func handle(
        password: ByteBuffer, of request: UserAuthenticationRequest
    ) throws(Disconnect) -> [Effect] {
        guard let tokenUser, request.user == tokenUser else {
            return try fail(request.user, "method password is not supported")
        }
        guard password.readableBytes <= Self.maximumTokenLength,
            let token = String(validating: password.readableBytesView, as: UTF8.self)
        else { return try fail(request.user, "the token is none") }
        state = .checking
        return [.checkToken(token)]
    }

    /// What became of `Effect.checkToken`; a refusal's reason is for the log alone.
    package mutating func tokenChecked(_ decision: TokenDecision) throws(Disconnect) -> [Effect] {
        guard state == .checking, let tokenUser else { return [] }
        switch decision {
        case .allowed(let permissions, let comment):
            return succeed(
                ServerAuthentication(
                    user: tokenUser, keyFingerprint: "token", permissions: permissions, comment: comment))
        case .refused(let reason):
            state = .authenticating
            do throws(Disconnect) {
                return try fail(tokenUser, reason)
            } catch {
                state = .failed
                throw error
            }
        }
    }

    /// The same answer whatever the reason, which is for the log alone.
    private mutating func fail(
        _ user: String, _ reason: String, isFree: Bool = false
    ) throws(Disconnect) -> [Effect] {
        if !isFree { failures += 1 }
        guard failures < maxAttempts else { throw Self.tooManyFailures }
        var answer = ByteBuffer()
        answer.writeInteger(MessageNumber.userauthFailure)
        answer.writeSSHNameList(
            [UserAuthenticationRequest.publicKey]
                + (user == tokenUser ? [UserAuthenticationRequest.password] : []))
        answer.writeSSHBoolean(false)
        if isFree { return [.send(answer)] }
        return [.send(answer), .failedAttempt("user \(user.printable): \(reason)")]
    }

    private static var tooManyFailures: Disconnect {
        Disconnect(.noMoreAuthMethodsAvailable, "Too many authentication failures")
    }

    /// SSH_MSG_USERAUTH_PK_OK: algorithm and blob as they were sent (RFC 4252 §7).
    private static func acceptable(_ method: UserAuthenticationRequest.PublicKeyMethod) -> ByteBuffer {
        var answer = ByteBuffer()
        answer.writeInteger(MessageNumber.userauthPKOK)
        answer.writeSSHString(method.algorithm)
        answer.writeSSHString(method.blob)
        return answer
    }
}

/// What a client signs: the session identifier, then its request up to the signature (RFC 4252 §7).
func signedData(session: [UInt8], _ request: ByteBuffer) -> [UInt8] {
    var data = ByteBuffer()
    data.writeSSHString(session)
    data.writeImmutableBuffer(request)
    return Array(data.readableBytesView)
}
