import NIOCore

/// A channel somebody waits for. Finished exactly once; a channel that comes after that is closed.
final class OpenRequest {
    let target: ChannelTarget
    let originator: Originator
    private var completion: ((Result<(SSHClientHandler, EngineChannel), SSHClientError>) -> Void)?
    var timeout: Scheduled<Void>?
    /// Tells the session that nobody waits any more.
    var onCancel: (() -> Void)?

    init(
        target: ChannelTarget, originator: Originator,
        completion: @escaping (Result<(SSHClientHandler, EngineChannel), SSHClientError>) -> Void
    ) {
        self.target = target
        self.originator = originator
        self.completion = completion
    }

    var isFinished: Bool { completion == nil }

    func succeed(_ session: SSHClientHandler, _ channel: EngineChannel) {
        guard let completion = take() else { return session.close(channel) }
        completion(.success((session, channel)))
    }

    func fail(_ error: SSHClientError) {
        take()?(.failure(error))
    }

    /// Nobody waits any more.
    func cancel(_ error: SSHClientError) {
        guard let completion = take() else { return }
        let onCancel = onCancel
        self.onCancel = nil
        onCancel?()
        completion(.failure(error))
    }

    private func take() -> ((Result<(SSHClientHandler, EngineChannel), SSHClientError>) -> Void)? {
        timeout?.cancel()
        timeout = nil
        defer { completion = nil }
        return completion
    }
}
