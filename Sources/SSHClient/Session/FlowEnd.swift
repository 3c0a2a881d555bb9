import NIOCore

/// The app's side of a `Flow`, as the session sees it. Confined to the session's event loop.
///
/// It hands on what the app has with `SSHClientHandler.received`, after `begin` and whenever `wantsMore` is true of its flow.
protocol FlowEnd: AnyObject {
    /// Whether what is written now is taken at once. When that comes true again, it calls `appDrained`.
    var isWritable: Bool { get }
    func begin(_ flow: Flow)
    /// From the manager.
    func write(_ bytes: ByteBuffer)
    /// What was received before is on its way: there may be more.
    func read()
    /// EOF towards the app, after what was written before.
    func endOutput()
    /// The flow is over, once all that was written is taken.
    func finish()
    /// The flow is over, and broken.
    func abort()
}
