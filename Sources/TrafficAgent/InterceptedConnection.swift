import ControlAPI
import Forwarding
import Glibc
import Logging
import NIOCore
import NIOPosix
import Reactors
import SSHClient
import SSHProtocol

/// A connection that an intercept takes whole: led to its holder, or to the app when nobody is there for it.
///
/// Lives on the loop of the manager's sessions.
struct InterceptedConnection {
    let link: NIOLoopBound<ManagerLink>
    let app: SocketAddress
    let probePaths: [String]
    let eventLoop: any EventLoop
    let logger: Logger

    /// Takes the descriptor over; from any thread.
    func begin(_ descriptor: CInt, _ verdict: RuleBook.Verdict, from originator: Originator) {
        let rules = verdict.filtered + [verdict.intercept].compactMap { $0 }
        guard verdict.isConnected || rules.contains(where: \.isProtected) else { return pass(descriptor) }
        if verdict.filtered.isEmpty, let rule = verdict.intercept, rule.takesProbes || probePaths.isEmpty {
            return begin(descriptor, rule, from: originator)
        }
        eventLoop.execute {
            FilteredConnection(
                rules: verdict.filtered, fallback: verdict.intercept, probePaths: probePaths, app: app,
                link: link.value,
                originator: originator, eventLoop: eventLoop, logger: logger
            ).begin(descriptor)
        }
    }

    private func begin(_ descriptor: CInt, _ rule: AgentRules.Rule, from originator: Originator) {
        eventLoop.execute {
            guard let pool = link.value.pool else { return fail(descriptor, rule, "no manager") }
            // Opened before the connection is read: what cannot be delivered may still go to the app, untouched.
            pool.open(Self.target(rule), originator: originator) { result in
                switch result {
                case .success(let channel): join(descriptor, to: channel)
                case .failure(let error):
                    if case .openFailed(let failure) = error.kind, failure.reason == .connectFailed {
                        // The holder's side has refused it, which is an answer.
                        return ConnectionReset.reset(descriptor)
                    }
                    fail(descriptor, rule, error.text)
                }
            }
        }
    }

    /// The same with the far end of a tap, which nobody misses.
    func tap(_ descriptor: CInt, _ rule: AgentRules.Rule, from originator: Originator) {
        eventLoop.execute {
            guard let pool = link.value.pool else {
                close(descriptor)
                return
            }
            pool.open(Self.target(rule), originator: originator) { result in
                switch result {
                case .success(let channel): join(descriptor, to: channel)
                case .failure: close(descriptor)
                }
            }
        }
    }

    private static func target(_ rule: AgentRules.Rule) -> ChannelTarget {
        .tcp(host: "\(rule.id).intercept.telepresence", port: 1)
    }

    private func fail(_ descriptor: CInt, _ rule: AgentRules.Rule, _ reason: String) {
        logger.debug("not delivered", metadata: ["intercept": "\(rule.id)", "reason": "\(reason)"])
        if rule.isProtected { ConnectionReset.reset(descriptor) } else { pass(descriptor) }
    }

    private func pass(_ descriptor: CInt) {
        let reactor = Reactor.all[Int(descriptor) % Reactor.all.count]
        reactor.execute { [app] in ProxyEnd.pass(descriptor, to: app, on: reactor) }
    }

    private func join(_ descriptor: CInt, to channel: OpenedChannel) {
        let holder = NIOLoopBound(HoldHandler(), eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try AppChannelOptions.set(on: channel)
                    try channel.pipeline.syncOperations.addHandler(holder.value)
                }
            }
            .withConnectedSocket(descriptor).assumeIsolated().whenComplete { result in
                switch result {
                case .success(let client):
                    channel.glue(to: client)
                    holder.value.release()
                case .failure:
                    channel.close()
                    close(descriptor)
                }
            }
    }

}
