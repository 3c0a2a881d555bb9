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

    /// Who gets the channel.
    private enum Taker {
        case here(EventLoopPromise<any Channel>)
        /// Another channel, which leads to it.
        case channel(EventLoopPromise<Destination>)

        func fail(_ error: Failure) {
            switch self {
            case .here(let promise): promise.fail(error)
            case .channel(let promise): promise.fail(error)
            }
        }
    }

    private struct Waiting {
        var agent: SessionIdentity
        var taker: Taker
        /// Of whoever waits.
        var eventLoop: any EventLoop
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
        wait(.here(promise), by: agent, on: eventLoop) { number in
            AgentStream(stream: number, kind: kind, container: container, root: root, handle: handle)
        }
        return promise.futureResult
    }

    /// Where a channel is to lead that becomes the stream's other end.
    func join(
        _ kind: AgentStream.Kind, of container: String, root: String, by agent: AgentLink, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Destination> {
        let promise = eventLoop.makePromise(of: Destination.self)
        wait(.channel(promise), by: agent, on: eventLoop) { number in
            AgentStream(stream: number, kind: kind, container: container, root: root)
        }
        return promise.futureResult
    }

    private func wait(
        _ taker: Taker, by agent: AgentLink, on eventLoop: any EventLoop, _ order: (UInt64) -> AgentStream
    ) {
        let number = state.withLock { state -> UInt64? in
            guard state.waiting.count < Self.maximumWaiting else { return nil }
            state.last += 1
            let number = state.last
            let timeout = eventLoop.scheduleTask(in: Self.patience) { [weak self] in
                guard self?.take(number) != nil else { return }
                taker.fail(Failure(description: "the traffic-agent does not answer"))
            }
            state.waiting[number] = Waiting(
                agent: agent.session, taker: taker, eventLoop: eventLoop, timeout: timeout)
            return number
        }
        guard let number else {
            return taker.fail(Failure(description: "too much is asked of the traffic-agents now"))
        }
        agent.send(order(number))
    }

    private func take(_ number: UInt64, by session: SessionIdentity? = nil) -> Waiting? {
        state.withLock { state in
            guard let waiting = state.waiting[number], session.map({ Self.isSame($0, waiting.agent) }) ?? true else {
                return nil
            }
            return state.waiting.removeValue(forKey: number)
        }
    }

    /// An agent that is to serve files connects for it: the loop of whoever waits for them.
    func eventLoop(forConnectionFrom host: String) -> (any EventLoop)? {
        state.withLock { state in
            state.waiting.values.first { waiting in
                guard case .channel = waiting.taker else { return false }
                return waiting.agent.sourceAddress == host
            }?.eventLoop
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
        switch waiting.taker {
        case .here(let promise):
            return .service { channel in
                promise.succeed(channel)
                return channel.eventLoop.makeSucceededVoidFuture()
            }
        case .channel(let promise):
            let (one, other) = Destination.pair()
            promise.succeed(one)
            return other
        }
    }
}
