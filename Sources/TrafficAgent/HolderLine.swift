import ControlAPI
import Forwarding
import Glibc
import Logging
import NIOCore
import NIOPosix
import Reactors
import SSHClient
import SSHProtocol

/// Leads connections of one port to the holders of its intercepts, over the manager; or to the app when nobody is there.
///
/// May be called on any thread; works on the loop of the manager's sessions.
struct HolderLine: Sendable {
    /// Why a holder does not take a connection.
    enum Failure: Error {
        /// The holder's side has refused it, which is an answer.
        case refused
        /// Nobody is there for it.
        case away
    }

    let link: NIOLoopBound<ManagerLink>
    let app: SocketAddress
    let probePaths: [String]
    let eventLoop: any EventLoop
    let logger: Logger

    /// Takes the descriptor of a connection that is intercepted, whole or in part.
    func begin(
        _ descriptor: CInt, _ verdict: RuleBook.Verdict, port: UInt16, from originator: Originator, on reactor: Reactor
    ) {
        let rules = verdict.filtered + [verdict.intercept].compactMap { $0 }
        guard verdict.isConnected || rules.contains(where: \.isProtected) else {
            return reactor.execute { ProxyEnd.pass(descriptor, to: app, on: reactor) }
        }
        if verdict.filtered.isEmpty, let rule = verdict.intercept, rule.takesProbes || probePaths.isEmpty {
            return begin(descriptor, rule, from: originator)
        }
        reactor.execute {
            let filters = FilterCache.set(for: verdict, port: port, probePaths: probePaths, on: reactor)
            FilteredConnection(filters, holders: self, originator: originator, on: reactor).begin(descriptor)
        }
    }

    private func begin(_ descriptor: CInt, _ rule: AgentRules.Rule, from originator: Originator) {
        eventLoop.execute {
            // Opened before the connection is read: what cannot be delivered may still go to the app, untouched.
            open(rule, originator) { result in
                switch result {
                case .success(let channel): join(descriptor, to: channel)
                case .failure(.refused): ConnectionReset.reset(descriptor)
                case .failure(.away):
                    if rule.isProtected { ConnectionReset.reset(descriptor) } else { pass(descriptor) }
                }
            }
        }
    }

    /// The same with the far end of a tap, which nobody misses.
    func tap(_ descriptor: CInt, _ rule: AgentRules.Rule, from originator: Originator) {
        eventLoop.execute {
            open(rule, originator) { result in
                switch result {
                case .success(let channel): join(descriptor, to: channel)
                case .failure: Self.drop(descriptor)
                }
            }
        }
    }

    /// A socket that leads to a holder. `completion` is called on the loop of the manager's sessions.
    func open(
        _ rule: AgentRules.Rule, from originator: Originator,
        completion: @escaping @Sendable (Result<CInt, Failure>) -> Void
    ) {
        eventLoop.execute {
            open(rule, originator) { result in
                switch result {
                case .success(let channel):
                    var pair: [CInt] = [-1, -1]
                    let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
                    guard socketpair(AF_UNIX, type, 0, &pair) == 0 else {
                        channel.close()
                        return completion(.failure(.away))
                    }
                    join(pair[1], to: channel)
                    completion(.success(pair[0]))
                case .failure(let failure): completion(.failure(failure))
                }
            }
        }
    }

    /// Takes a connection over whose client speaks HTTP/2; `bytes` have been read from it.
    func beginHTTP2(_ descriptor: CInt, _ bytes: ByteBuffer, _ filters: FilterSet, from originator: Originator) {
        let (verdict, probePaths) = (filters.verdict, filters.probePaths)
        eventLoop.execute {
            HTTP2Connection(FilterSet(verdict, probePaths: probePaths), holders: self, originator: originator)
                .begin(descriptor, bytes)
        }
    }

    static func drop(_ descriptor: CInt) { close(descriptor) }

    // MARK: On the loop

    private func open(
        _ rule: AgentRules.Rule, _ originator: Originator,
        completion: @escaping (Result<OpenedChannel, Failure>) -> Void
    ) {
        guard let pool = link.value.pool else { return completion(.failure(.away)) }
        let target = ChannelTarget.tcp(host: "\(rule.id).intercept.telepresence", port: 1)
        pool.open(target, originator: originator) { result in
            switch result {
            case .success(let channel): completion(.success(channel))
            case .failure(let error):
                logger.debug("not delivered", metadata: ["intercept": "\(rule.id)", "reason": "\(error.text)"])
                if case .openFailed(let failure) = error.kind, failure.reason == .connectFailed {
                    return completion(.failure(.refused))
                }
                completion(.failure(.away))
            }
        }
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
                    Self.drop(descriptor)
                }
            }
    }
}
