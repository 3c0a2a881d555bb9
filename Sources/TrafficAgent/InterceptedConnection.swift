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
    let eventLoop: any EventLoop
    let logger: Logger

    /// Takes the descriptor over; from any thread.
    func begin(_ descriptor: CInt, _ rule: AgentRules.Rule, isConnected: Bool, from originator: Originator) {
        guard isConnected || rule.isProtected else { return pass(descriptor) }
        let target = ChannelTarget.tcp(host: "\(rule.id).intercept.telepresence", port: 1)
        eventLoop.execute {
            guard let pool = link.value.pool else { return fail(descriptor, rule, "no manager") }
            // Opened before the connection is read: what cannot be delivered may still go to the app, untouched.
            pool.open(target, originator: originator) { result in
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
