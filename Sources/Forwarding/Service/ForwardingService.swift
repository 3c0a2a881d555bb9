package import Logging
package import NIOCore
package import SSHClient

/// Forwards that are up, from any task: a `Forwarder` on its event loop.
package struct ForwardingService: Sendable {
    /// Where the forwards are, in the order they were given.
    package let forwards: [BoundForward]
    private let forwarder: NIOLoopBound<Forwarder>
    private let eventLoop: any EventLoop

    /// Sets up all of `specs`, or none: throws an `SSHClientError` or a `ForwardSetupError`.
    package static func start(
        _ specs: [ForwardSpec], configuration: SSHClientConfiguration,
        sessions: Int = SSHClientPool.maximumSessions, on eventLoop: any EventLoop, logger: Logger,
        onEvent: @escaping @Sendable (ForwardingEvent) -> Void
    ) async throws -> ForwardingService {
        try await eventLoop.flatSubmit {
            let promise = eventLoop.makePromise(of: ForwardingService.self)
            let forwarder = Forwarder(
                configuration: configuration, sessions: sessions, eventLoop: eventLoop, logger: logger,
                onEvent: onEvent)
            let bound = NIOLoopBound(forwarder, eventLoop: eventLoop)
            forwarder.start(specs) { result in
                promise.completeWith(
                    result.map { ForwardingService(forwards: $0, forwarder: bound, eventLoop: eventLoop) })
            }
            return promise.futureResult
        }.get()
    }

    /// Closes the listeners, removes their sockets' paths, and ends the sessions.
    package func shutDown() async {
        try? await eventLoop.submit { forwarder.value.close() }.get()
    }
}
