import ControlAPI
import NIOCore
import SSHProtocol
import SSHServer
import Synchronization

/// Channels that agents open because they were asked to: for an environment, or for files.
final class AgentStreams: Sendable {
    /// How long an agent may take to open one: it is there, and needs one round trip.
    static let patience = TimeAmount.seconds(5)
    /// That are waited for at once, of all agents.
    static let maximumWaiting = 256

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private struct Waiting {
        var agent: SessionIdentity
        var promise: EventLoopPromise<any Channel>
        var timeout: Scheduled<Void>
    }

    private struct State {
        var waiting: [UInt64: Waiting] = [:]
        var last: UInt64 = 0
    }

    private let state = Mutex(State())

    /// The channel is on a loop of its own; nothing has been read from it.
    func open(
        _ kind: AgentStream.Kind, of container: String, root: String? = nil, handle: UInt8? = nil,
        by agent: AgentLink, on eventLoop: any EventLoop
    ) -> EventLoopFuture<any Channel> {
        let promise = eventLoop.makePromise(of: (any Channel).self)
        let number = state.withLock { state -> UInt64? in
            guard state.waiting.count < Self.maximumWaiting else { return nil }
            state.last += 1
            let number = state.last
            let timeout = eventLoop.scheduleTask(in: Self.patience) { [weak self] in
                guard self?.take(number) != nil else { return }
                promise.fail(Failure(description: "the traffic-agent does not answer"))
            }
            state.waiting[number] = Waiting(agent: agent.session, promise: promise, timeout: timeout)
            return number
        }
        guard let number else {
            return eventLoop.makeFailedFuture(Failure(description: "too much is asked of the traffic-agents now"))
        }
        agent.send(AgentStream(stream: number, kind: kind, container: container, root: root, handle: handle))
        return promise.futureResult
    }

    private func take(_ number: UInt64, by session: SessionIdentity? = nil) -> Waiting? {
        state.withLock { state in
            guard let waiting = state.waiting[number], session.map({ Self.isSame($0, waiting.agent) }) ?? true else {
                return nil
            }
            return state.waiting.removeValue(forKey: number)
        }
    }

    /// An agent has several sessions when there is much to carry; they come from one place, for one workload.
    private static func isSame(_ session: SessionIdentity, _ agent: SessionIdentity) -> Bool {
        session.permissions.trafficAgent == agent.permissions.trafficAgent
            && session.sourceAddress == agent.sourceAddress
    }

    /// Where a channel for `host` leads: whoever waits for it, if the agent was asked for it.
    func destination(_ host: String, for session: SessionIdentity) -> Destination {
        guard let number = UInt64(host.dropLast(AgentStream.suffix.count)), let waiting = take(number, by: session)
        else { return .refused(OpenFailure(.administrativelyProhibited, "nobody waits for \(host.shortened)")) }
        waiting.timeout.cancel()
        return .service { channel in
            waiting.promise.succeed(channel)
            return channel.eventLoop.makeSucceededVoidFuture()
        }
    }
}
