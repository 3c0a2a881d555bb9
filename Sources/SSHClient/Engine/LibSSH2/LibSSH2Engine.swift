import CLibssh2
import Glibc
import NIOCore
import SSHProtocol

/// One libssh2 session as an engine, for any SSH server. No libssh2 type leaves `Engine`.
final class LibSSH2Engine: SSHEngine {
    private enum State { case handshaking, authenticating, ready, ended }

    let context: EngineContext
    let session: OpaquePointer
    /// libssh2 asks for a descriptor whose flags it can read and set; it never reads or writes it.
    private let descriptor: CInt
    private var state = State.handshaking
    /// While it is being sent.
    private var token: [UInt8] = []
    private let configuration: SSHClientConfiguration

    /// `libssh2_init` is not thread-safe: once, before the first session.
    private static let initialised: CInt = libssh2_init(0)

    init(configuration: SSHClientConfiguration) throws(SSHClientError) {
        let context = EngineContext(outboundCapacity: SSHClientHandler.outboundCapacity)
        let abstract = Unmanaged.passUnretained(context).toOpaque()
        let descriptor = Glibc.open("/dev/null", O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard Self.initialised == 0, descriptor >= 0,
            let session = libssh2_session_init_ex(
                { count, abstract in EngineContext.from(abstract)?.memory.allocate(count) },
                { pointer, abstract in
                    guard let pointer, let context = EngineContext.from(abstract) else { return }
                    context.released(pointer)
                    context.memory.release(pointer)
                },
                { pointer, count, abstract in EngineContext.from(abstract)?.memory.reallocate(pointer, count) },
                abstract)
        else {
            if descriptor >= 0 { Glibc.close(descriptor) }
            throw SSHClientError(.unreachable, "cannot set up libssh2: out of memory or descriptors")
        }
        self.context = context
        self.session = session
        self.descriptor = descriptor
        self.configuration = configuration
        libssh2_session_set_blocking(session, 0)
        Self.installCallbacks(session)
        Self.prefer(session, hostKeys: configuration.hostKeys)
        // No reply is asked for: libssh2 would keep every one of them for ever.
        libssh2_keepalive_config(session, 0, UInt32(configuration.keepaliveInterval.nanoseconds / 1_000_000_000))
    }

    deinit {
        // With the stream at its end, freeing waits for nothing.
        context.inbound = ByteBuffer()
        context.reachedEOF = true
        context.awaitsOpenAnswer = false
        for _ in 0..<Self.freeAttempts where libssh2_session_free(session) != LIBSSH2_ERROR_EAGAIN { break }
        Glibc.close(descriptor)
    }

    /// Each attempt frees at least one channel; a session holds fewer.
    private static let freeAttempts = 65_536

    private static func installCallbacks(_ session: OpaquePointer) {
        typealias Send =
            @convention(c) (
                CInt, UnsafeRawPointer?, Int, CInt, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
            ) -> Int
        typealias Receive =
            @convention(c) (
                CInt, UnsafeMutableRawPointer?, Int, CInt, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
            ) -> Int
        typealias Disconnect =
            @convention(c) (
                OpaquePointer?, CInt, UnsafePointer<CChar>?, CInt, UnsafePointer<CChar>?, CInt,
                UnsafeMutablePointer<UnsafeMutableRawPointer?>?
            ) -> Void
        let send: Send = { _, bytes, length, _, abstract in
            guard let bytes, let context = EngineContext.from(abstract) else { return -Int(EPIPE) }
            context.outbound.writeBytes(UnsafeRawBufferPointer(start: bytes, count: length))
            return length
        }
        let receive: Receive = { _, bytes, length, _, abstract in
            guard let bytes, let context = EngineContext.from(abstract) else { return 0 }
            return context.receive(into: bytes, length)
        }
        let disconnect: Disconnect = { _, _, message, length, _, _, abstract in
            guard let message, length > 0, let context = EngineContext.from(abstract) else { return }
            let bytes = UnsafeRawBufferPointer(start: message, count: min(Int(length), 1024))
            context.disconnectText = PeerText.printable(String(decoding: bytes, as: UTF8.self))
        }
        typealias Debug =
            @convention(c) (
                OpaquePointer?, CInt, UnsafePointer<CChar>?, CInt, UnsafePointer<CChar>?, CInt,
                UnsafeMutablePointer<UnsafeMutableRawPointer?>?
            ) -> Void
        let debug: Debug = { _, _, message, length, _, _, abstract in
            guard let message, length > 0, let context = EngineContext.from(abstract) else { return }
            let bytes = UnsafeRawBufferPointer(start: message, count: min(Int(length), 1024))
            context.debugText = PeerText.printable(String(decoding: bytes, as: UTF8.self))
        }
        libssh2_session_callback_set(
            session, CInt(LIBSSH2_CALLBACK_DEBUG), unsafeBitCast(debug, to: UnsafeMutableRawPointer.self))
        libssh2_session_callback_set(
            session, CInt(LIBSSH2_CALLBACK_SEND), unsafeBitCast(send, to: UnsafeMutableRawPointer.self))
        libssh2_session_callback_set(
            session, CInt(LIBSSH2_CALLBACK_RECV), unsafeBitCast(receive, to: UnsafeMutableRawPointer.self))
        libssh2_session_callback_set(
            session, CInt(LIBSSH2_CALLBACK_DISCONNECT), unsafeBitCast(disconnect, to: UnsafeMutableRawPointer.self))
    }

    /// The best that libssh2 1.10 has; it knows no AEAD and no encrypt-then-MAC.
    private static func prefer(_ session: OpaquePointer, hostKeys: HostKeyPin) {
        let methods: [(Int32, String)] = [
            (LIBSSH2_METHOD_KEX, "curve25519-sha256,ecdh-sha2-nistp256"),
            (LIBSSH2_METHOD_HOSTKEY, hostKeys.algorithms.joined(separator: ",")),
            (LIBSSH2_METHOD_CRYPT_CS, "aes128-ctr"), (LIBSSH2_METHOD_CRYPT_SC, "aes128-ctr"),
            (LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256"), (LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256"),
            (LIBSSH2_METHOD_COMP_CS, "none"), (LIBSSH2_METHOD_COMP_SC, "none"),
        ]
        for (method, names) in methods { libssh2_session_method_pref(session, method, names) }
    }

    // MARK: Starting

    var inbound: ByteBuffer {
        get { context.inbound }
        _modify { yield &context.inbound }
    }

    var reachedEOF: Bool {
        get { context.reachedEOF }
        set { context.reachedEOF = newValue }
    }

    /// libssh2 reads in calls for a channel alone.
    var drivesAlone: Bool { false }

    var unsentBytes: Int { context.outbound.readableBytes }

    func exchangeOutput(for empty: inout ByteBuffer) { swap(&context.outbound, &empty) }

    func start() throws(SSHClientError) -> EngineProgress<Void> {
        context.quota = .max
        if state == .handshaking {
            let code = libssh2_session_handshake(session, descriptor)
            if code == LIBSSH2_ERROR_EAGAIN { return .again }
            guard code == 0 else { throw handshakeFailure(code) }
            try checkHostKey()
            if case .token(let file) = configuration.credential { token = try ClientToken.read(file) }
            state = .authenticating
        }
        if state == .authenticating {
            let user = configuration.user
            let code: CInt
            switch configuration.credential {
            case .key(let identity):
                // Whatever form its file has, libssh2 is given the one it reads.
                code = Array(identity.key.openSSH.utf8).withUnsafeBytes { bytes in
                    libssh2_userauth_publickey_frommemory(
                        session, user, user.utf8.count, nil, 0, bytes.bindMemory(to: CChar.self).baseAddress,
                        bytes.count, nil)
                }
            case .token:
                code = token.withUnsafeBytes { bytes in
                    libssh2_userauth_password_ex(
                        session, user, UInt32(user.utf8.count), bytes.bindMemory(to: CChar.self).baseAddress,
                        UInt32(bytes.count), nil)
                }
            }
            if code == LIBSSH2_ERROR_EAGAIN { return .again }
            guard code == 0 else { throw authenticationFailure(code) }
            token = []
            state = .ready
        }
        return .done(())
    }

    private func checkHostKey() throws(SSHClientError) {
        var length = 0
        var type: CInt = 0
        guard let bytes = libssh2_session_hostkey(session, &length, &type),
            let key = try? PublicKey(blob: ByteBuffer(bytes: UnsafeRawBufferPointer(start: bytes, count: length)))
        else {
            throw SSHClientError(
                .unreachable, "\(configuration.manager): the manager sent no host key that can be read")
        }
        try configuration.check(key)
    }

    private func handshakeFailure(_ code: CInt) -> SSHClientError {
        let manager = configuration.manager
        return switch code {
        case LIBSSH2_ERROR_BANNER_RECV, LIBSSH2_ERROR_BANNER_SEND, LIBSSH2_ERROR_SOCKET_DISCONNECT,
            LIBSSH2_ERROR_SOCKET_RECV, LIBSSH2_ERROR_SOCKET_SEND, LIBSSH2_ERROR_SOCKET_NONE:
            SSHClientError(
                .unreachable, "\(manager): no SSH server answered: \(context.disconnectText ?? lastError)")
        default:
            SSHClientError(.unreachable, "\(manager): the key exchange failed: \(context.disconnectText ?? lastError)")
        }
    }

    private func authenticationFailure(_ code: CInt) -> SSHClientError {
        let manager = configuration.manager
        let path = configuration.credential.path
        return switch code {
        case LIBSSH2_ERROR_AUTHENTICATION_FAILED, LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED:
            configuration.permissionDenied
        case LIBSSH2_ERROR_SOCKET_DISCONNECT, LIBSSH2_ERROR_SOCKET_RECV:
            SSHClientError(
                .authenticationRefused,
                "\(configuration.user)@\(manager): the manager closed the session during authentication: "
                    + "\(context.disconnectText ?? lastError)")
        case LIBSSH2_ERROR_FILE, LIBSSH2_ERROR_METHOD_NONE, LIBSSH2_ERROR_KEYFILE_AUTH_FAILED, LIBSSH2_ERROR_PROTO:
            SSHClientError(
                .badInput,
                "\(path): not a usable private key (\(lastError)); expected an unencrypted Ed25519 or ECDSA key: "
                    + "telepresence keygen makes one")
        default:
            SSHClientError(
                .authenticationRefused, "\(configuration.user)@\(manager): authentication failed: \(lastError)")
        }
    }

    /// libssh2's own text of what went wrong last.
    var lastError: String {
        var message: UnsafeMutablePointer<CChar>?
        var length: CInt = 0
        libssh2_session_last_error(session, &message, &length, 0)
        guard let message, length > 0 else { return "unknown error" }
        return String(cString: message)
    }

    func failure() -> SSHClientError { failure(0) }

    /// The session cannot go on.
    func failure(_ code: Int) -> SSHClientError {
        state = .ended
        let reason = context.disconnectText ?? (context.reachedEOF ? "the manager closed the connection" : lastError)
        return SSHClientError(.connectionLost, "\(configuration.manager): the session ended: \(reason)")
    }

    var peerVersion: String {
        guard let banner = libssh2_session_banner_get(session) else { return "" }
        return PeerText.printable(String(cString: banner))
    }

    func sendKeepalive() {
        var next: CInt = 0
        libssh2_keepalive_send(session, &next)
    }

    func disconnect() {
        guard state != .ended else { return }
        state = .ended
        libssh2_session_disconnect_ex(session, 11, "telepresence is done", "")
    }
}
