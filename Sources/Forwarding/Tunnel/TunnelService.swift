import Glibc
import IPPacket
package import Logging
package import NIOCore
import NIOPosix
package import SSHClient

/// A tunnel that is up, from any task: packets of a TUN device on a thread, connections on the pool's event loop.
package struct TunnelService: Sendable {
    /// Connections that the kernel has accepted and we have not; what Linux allows by default (somaxconn).
    private static let backlog: CInt = 4096
    /// When the kernel asks an app's end whether it is there: what never leaves this machine costs nothing to ask.
    private static let keepaliveIdle = 60
    private static let keepaliveInterval = 10
    private static let keepaliveCount = 3

    private let flows: NIOLoopBound<TunnelFlows>
    private let eventLoop: any EventLoop
    private let exchange: TunnelExchange
    private let counters: TunnelCounters
    /// Succeeds when the tunnel was shut down; fails with a `TunnelError` when its device is gone.
    package let closed: EventLoopFuture<Void>

    /// Takes the descriptors of `configuration` over, whether it succeeds or throws a `TunnelError`. `pool` is of
    /// `eventLoop`, and outlives the tunnel.
    package static func start(
        _ configuration: TunnelConfiguration, pool: NIOLoopBound<SSHClientPool>, on eventLoop: any EventLoop,
        logger: Logger
    ) async throws -> TunnelService {
        var descriptors = [configuration.device] + [configuration.v4, configuration.v6].compactMap { $0?.listener }
        let counters = TunnelCounters()
        let promise = eventLoop.makePromise(of: Void.self)
        do {
            let exchange = try TunnelExchange(eventLoop)
            let flows = try await eventLoop.submit {
                let flows = TunnelFlows(
                    pool: pool.value, peers: [configuration.v4, configuration.v6].compactMap { $0?.peer.description },
                    dialing: configuration.dialing, exchange: exchange, counters: counters, logger: logger
                ) { code in
                    if let code { promise.fail(TunnelError.device(code)) } else { promise.succeed() }
                }
                return NIOLoopBound(flows, eventLoop: eventLoop)
            }.get()
            do {
                var links: [TunnelLink?] = []
                for end in [configuration.v4, configuration.v6] {
                    guard let end else {
                        links.append(nil)
                        continue
                    }
                    descriptors.removeAll { $0 == end.listener }
                    links.append(try await listen(end, flows, on: eventLoop))
                }
                descriptors = []
                let device = try TunnelDevice(configuration.device)
                let thread = try TunnelThread.start(
                    device: device, v4: links[0], v6: links[1], exchange: exchange, counters: counters
                ) {
                    eventLoop.execute { flows.value.readMessages() }
                }
                try await eventLoop.submit { flows.value.begin(thread) }.get()
            } catch {
                try await eventLoop.submit { flows.value.close() }.get()
                throw error
            }
            return TunnelService(
                flows: flows, eventLoop: eventLoop, exchange: exchange, counters: counters,
                closed: promise.futureResult)
        } catch {
            for descriptor in descriptors { close(descriptor) }
            let error = tunnelError(error)
            promise.fail(error)
            throw error
        }
    }

    private static func tunnelError(_ error: any Error) -> TunnelError {
        switch error {
        case let error as TunnelError: error
        case let error as TunnelDevice.ErrorNumber: .device(error.code)
        default: TunnelError("the tunnel's listener: \(ConnectFailure.text(error))")
        }
    }

    private static func listen(
        _ end: TunnelConfiguration.End, _ flows: NIOLoopBound<TunnelFlows>, on eventLoop: any EventLoop
    ) async throws -> TunnelLink {
        // Of the listener: Linux hands these on to what it accepts, which costs no system call for each.
        let bootstrap = ServerBootstrap(group: eventLoop)
            .serverChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .serverChannelOption(.socketOption(.so_keepalive), value: 1)
            .serverChannelOption(tcpOption(TCP_KEEPIDLE), value: keepaliveIdle)
            .serverChannelOption(tcpOption(TCP_KEEPINTVL), value: keepaliveInterval)
            .serverChannelOption(tcpOption(TCP_KEEPCNT), value: keepaliveCount)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try AppChannelOptions.set(on: channel)
                    try channel.pipeline.syncOperations.addHandler(TunnelAcceptHandler(flows.value))
                }
            }
        let channel = try await bootstrap.withBoundSocket(end.listener).get()
        try await eventLoop.submit { flows.value.add(channel) }.get()
        // NIO has made it listen, with fewer places.
        guard Glibc.listen(end.listener, backlog) == 0,
            let port = channel.localAddress?.port,
            let link = TunnelLink(
                address: end.address, peer: end.peer, listenerPort: UInt16(truncatingIfNeeded: port))
        else { throw TunnelError("the tunnel's listener is no TCP socket of the device's address") }
        return link
    }

    private static func tcpOption(_ name: CInt) -> ChannelOptions.Types.SocketOption {
        ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: name))
    }

    // MARK: While it is up

    package var statistics: TunnelStatistics { counters.statistics }

    /// Lets new connections and flows go where `dialing` says: the cluster's subnets may change.
    package func setDialing(_ dialing: any TunnelDialing) {
        eventLoop.execute { flows.value.dialing = dialing }
    }

    /// Resets the connections, closes the listeners and the device, and returns when all of that is done.
    package func shutDown() async {
        exchange.post(.stop)
        try? await closed.get()
    }
}
