import CLinux
import ControlAPI
import Glibc
package import Logging
package import NIOCore
import NIOPosix
import SSHClient
import ServiceLifecycle

/// A traffic agent: the app's connections pass through it, and those that are intercepted leave for their holders.
package final class Agent: Sendable {
    private static let settlingTime = TimeAmount.seconds(1)

    private let configuration: AgentConfiguration
    private let rules = RuleBook()
    private let eventLoop: any EventLoop
    private let link: NIOLoopBound<ManagerLink>
    private let logger: Logger

    package init(_ configuration: AgentConfiguration, group: any EventLoopGroup, logger: Logger) async throws {
        self.configuration = configuration
        self.logger = logger
        let eventLoop = group.next()
        self.eventLoop = eventLoop
        let rules = rules
        link = try await eventLoop.submit {
            NIOLoopBound(
                ManagerLink(configuration, rules: rules, on: eventLoop, logger: logger), eventLoop: eventLoop)
        }.get()
    }

    package struct ListenFailure: Error, CustomStringConvertible {
        package var description: String
    }

    /// Serves until a graceful shutdown or cancellation. Throws a `ListenFailure` when a port cannot be had.
    package func run() async throws {
        var listeners: [PortListener] = []
        var datagrams: [NIOLoopBound<DatagramPort>] = []
        for port in configuration.hello.ports {
            do {
                if port.transport == "UDP" {
                    datagrams.append(try await listenForDatagrams(port))
                } else {
                    listeners.append(try await listen(port))
                }
            } catch {
                await close(listeners, datagrams)
                throw ListenFailure(
                    description:
                        "cannot listen on \(configuration.listenHost):\(port.agentPort): \(ConnectFailure.text(error))")
            }
            logger.info(
                "listening",
                metadata: ["port": "\(port.agentPort)", "app": "\(port.appPort)", "transport": "\(port.transport)"])
        }
        try await eventLoop.submit { [link] in link.value.start() }.get()
        // There is one for each pod: the memory of what only a start needs is given back.
        let settled = eventLoop.scheduleTask(in: Self.settlingTime) { clinux_release_code() }
        defer { settled.cancel() }
        await cancelWhenGracefulShutdown {
            let (stream, continuation) = AsyncStream<Void>.makeStream()
            for await _ in stream {}
            continuation.finish()
        }
        // A pod that ends is led to until every node has heard of it (Kubernetes, "Termination of Pods").
        if configuration.drain > .zero {
            try? await eventLoop.submit { [link] in link.value.leave() }.get()
            try? await Task.sleep(for: configuration.drain)
        }
        await close(listeners, datagrams)
        try await eventLoop.submit { [link] in link.value.close() }.get()
    }

    private func close(_ listeners: [PortListener], _ datagrams: [NIOLoopBound<DatagramPort>]) async {
        for listener in listeners { await listener.close() }
        for port in datagrams { try? await eventLoop.submit { port.value.close() }.get() }
    }

    private func holders(_ port: AgentHello.Port) throws -> HolderLine {
        let app = try SocketAddress(ipAddress: configuration.appHost, port: Int(port.appPort))
        return HolderLine(
            link: link, app: app, probePaths: configuration.probePaths(of: port.appPort), eventLoop: eventLoop,
            logger: logger)
    }

    private func listenForDatagrams(_ port: AgentHello.Port) async throws -> NIOLoopBound<DatagramPort> {
        let holders = try holders(port)
        let address = try SocketAddress(ipAddress: configuration.listenHost, port: Int(port.agentPort))
        return try await eventLoop.flatSubmit { [eventLoop, rules] in
            let port = NIOLoopBound(DatagramPort(port, rules: rules, holders: holders), eventLoop: eventLoop)
            return port.value.start(on: address).map { port }
        }.get()
    }

    private func listen(_ port: AgentHello.Port) async throws -> PortListener {
        let holders = try holders(port)
        return try await PortListener.start(
            on: try SocketAddress(ipAddress: configuration.listenHost, port: Int(port.agentPort)), app: holders.app,
            agentPort: port.agentPort, rules: rules
        ) { descriptor, verdict, originator, reactor in
            holders.begin(descriptor, verdict, port: port.agentPort, from: originator, on: reactor)
        } tapped: { descriptor, rule, originator in
            holders.tap(descriptor, rule, from: originator)
        }
    }
}
