import NIOCore

/// What an engine does one at a time in a session: an open, a listen, or the end of a listener.
struct SessionOperation {
    enum Kind {
        case open(type: String, message: ByteBuffer)
        case listen(address: String, port: UInt16, backlog: CInt)
        case cancel(EngineListener)
    }

    enum Outcome {
        case channel(EngineChannel)
        case listener(EngineListener)
        case cancelled
    }

    let kind: Kind
    /// Asked before the operation starts; one that nobody waits for is skipped.
    let isWanted: () -> Bool
    let completion: (Result<Outcome, SSHClientError>) -> Void
    var hasStarted = false

    init(
        _ kind: Kind, isWanted: @escaping () -> Bool = { true },
        completion: @escaping (Result<Outcome, SSHClientError>) -> Void
    ) {
        self.kind = kind
        self.isWanted = isWanted
        self.completion = completion
    }
}
