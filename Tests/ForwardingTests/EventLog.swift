import Forwarding

/// The events of a run, to be waited for.
final class EventLog: Sendable {
    private let stream: AsyncStream<ForwardingEvent>
    private let sink: AsyncStream<ForwardingEvent>.Continuation

    init() { (stream, sink) = AsyncStream.makeStream() }

    func add(_ event: ForwardingEvent) { sink.yield(event) }

    func firstConnectionFailure() async -> String {
        for await event in stream {
            if case .connectionFailed(_, _, let reason) = event { return reason }
        }
        return ""
    }

    func disconnected() async {
        for await event in stream {
            if case .disconnected = event { return }
        }
    }

    func restoredPort() async -> UInt16? {
        for await event in stream {
            if case .remoteForwardRestored(_, let port) = event { return port }
        }
        return nil
    }
}
