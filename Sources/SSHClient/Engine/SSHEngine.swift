import NIOCore

/// One SSH session of a client: bytes in, bytes out, no socket of its own. Confined to one event loop.
///
/// States: handshaking → authenticating → ready → ended. A call that answers `.again` is to be made once more, with the
/// same arguments, when more bytes have come. Opens, listens and cancels are made one at a time.
protocol SSHEngine: AnyObject {
    /// What came from the manager and has not been taken yet.
    var inbound: ByteBuffer { get set }
    /// Nothing more comes.
    var reachedEOF: Bool { get set }
    /// Whether it takes what came without a channel to be driven through.
    var drivesAlone: Bool { get }
    /// The manager's identification string, such as `SSH-2.0-OpenSSH_9.2`.
    var peerVersion: String { get }

    /// Bytes for the socket.
    var unsentBytes: Int { get }
    /// Hands them over, taking an empty buffer for what comes next.
    func exchangeOutput(for empty: inout ByteBuffer)

    /// Key exchange, the host key's check, authentication.
    func start() throws(SSHClientError) -> EngineProgress<Void>
    /// Takes about `count` of the bytes that came, and acts on them.
    func drive(_ count: Int, through channel: EngineChannel?) throws(SSHClientError)
    /// What came is left alone until the next `drive`.
    func rest()
    /// Why the session cannot go on.
    func failure() -> SSHClientError
    /// Says something if nothing was said for a while.
    func sendKeepalive()
    /// SSH_MSG_DISCONNECT 11 (RFC 4253 §11.1), into the output.
    func disconnect()

    func open(type: String, window: UInt32, message: ByteBuffer) throws(SSHClientError) -> EngineProgress<EngineChannel>
    /// Asks for a remote forward.
    func listen(
        address: String, port: UInt16, backlog: CInt
    ) throws(SSHClientError) -> EngineProgress<EngineListener>
    func cancel(_ listener: EngineListener) throws(SSHClientError) -> EngineProgress<Void>
    /// The next channel the manager opened for `listener`.
    func accept(_ listener: EngineListener) throws(SSHClientError) -> EngineChannel?

    /// Appends up to `limit` bytes to `buffer`.
    func read(
        _ channel: inout EngineChannel, into buffer: inout ByteBuffer, limit: Int
    ) throws(SSHClientError) -> EngineRead
    /// The bytes taken; 0 when there is no window, or a key exchange is under way: then the same bytes are to be offered again.
    func write(_ channel: EngineChannel, _ bytes: ByteBuffer) throws(SSHClientError) -> Int
    func sendEOF(_ channel: EngineChannel) throws(SSHClientError) -> EngineProgress<Void>
    /// Whether the manager has closed the channel altogether; only to be asked after its EOF.
    func isClosed(_ channel: EngineChannel) throws(SSHClientError) -> Bool
    /// Whether the manager's end came without an EOF: it is no orderly one.
    func wasAborted(_ channel: EngineChannel) -> Bool
    /// Says that the EOF and CLOSE to come are no orderly end. Without a window nothing can be said.
    func sayBroken(_ channel: EngineChannel) throws(SSHClientError) -> EngineProgress<Void>
    /// EOF if none was sent, and CLOSE.
    func free(_ channel: EngineChannel) throws(SSHClientError) -> EngineProgress<Void>
    /// Lets the manager send `count` more bytes, of `window` in all. `false`: to be tried again.
    func widen(_ channel: EngineChannel, by count: UInt32, to window: UInt32) throws(SSHClientError) -> Bool
}

enum EngineProgress<Value> {
    case again
    case done(Value)
}

enum EngineRead {
    case bytes(Int)
    case nothing
    case endOfFile
}
