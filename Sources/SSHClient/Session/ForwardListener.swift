/// A remote forward as a session holds it: the manager listens, and opens a channel for every connection.
final class ForwardListener {
    let listener: EngineListener
    let accepted: (SSHClientHandler, EngineChannel) -> Void

    init(listener: EngineListener, accepted: @escaping (SSHClientHandler, EngineChannel) -> Void) {
        self.listener = listener
        self.accepted = accepted
    }
}
