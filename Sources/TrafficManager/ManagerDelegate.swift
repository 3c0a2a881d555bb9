import ControlAPI
package import NIOCore
import NIOPosix
package import SSHProtocol
package import SSHServer

/// Decides where the channels and forwards of sessions lead: to the cluster, and beyond it only as the flags say.
package struct ManagerDelegate: SSHServerDelegate {
    /// Takes over one end of a channel that leads into the manager itself.
    package typealias ServiceHandler = @Sendable (any Channel, SessionIdentity) -> EventLoopFuture<Void>

    package struct Configuration: Sendable {
        /// Where names without a namespace are looked for.
        package var namespace = "default"
        package var egress = EgressPolicy()
        package var listeners = ListenerPolicy()
        package var streamLocal = StreamLocalPolicy()

        package init() {}
    }

    let configuration: Configuration
    let directory: Directory
    let resolver: SystemResolver
    let commands: ManagerCommands
    private let services: [ReservedName: ServiceHandler]
    private let datagrams: DatagramService?
    private let intercepts: InterceptService?
    private let agents: AgentAuthenticator?
    let pods: PodAddresses?

    /// Who traffic agents log in as.
    package static let agentUser = "agent"

    package init(
        configuration: Configuration, directory: Directory, resolver: SystemResolver, commands: ManagerCommands,
        services: [ReservedName: ServiceHandler], datagrams: DatagramService? = nil,
        intercepts: InterceptService? = nil, agents: AgentAuthenticator? = nil, pods: PodAddresses? = nil
    ) {
        self.pods = pods
        self.agents = agents
        self.intercepts = intercepts
        self.configuration = configuration
        self.directory = directory
        self.resolver = resolver
        self.commands = commands
        self.services = services
        self.datagrams = datagrams
    }

    package func authenticate(token: String, on eventLoop: any EventLoop) -> EventLoopFuture<TokenDecision> {
        guard let agents else { return eventLoop.makeSucceededFuture(.refused("no token is taken here")) }
        return eventLoop.makeFutureWithTask { await agents.authenticate(token: token) }
    }

    package func eventLoop(forConnectionFrom host: String) -> (any EventLoop)? {
        intercepts?.streams.eventLoop(forConnectionFrom: host)
    }

    package func destination(
        host: String, port: UInt16, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Destination> {
        if let name = ReservedName(host: host) {
            return eventLoop.makeSucceededFuture(service(name, port: port, for: session))
        }
        if let intercepts, host.hasSuffix(InterceptService.suffix) {
            let id = String(host.dropLast(InterceptService.suffix.count))
            return intercepts.destination(ofIntercept: id, for: session, on: eventLoop)
        }
        if let intercepts, host.hasSuffix(InterceptService.filesSuffix), port == ReservedName.sftp.port {
            let workload = String(host.dropLast(InterceptService.filesSuffix.count))
            return intercepts.destination(ofFiles: workload, for: session, on: eventLoop)
        }
        if let intercepts, host.hasSuffix(AgentStream.suffix) {
            return eventLoop.makeSucceededFuture(intercepts.streams.destination(host, for: session))
        }
        return destination(host: host, port: port, on: eventLoop)
    }

    package func destination(
        socketPath: String, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Destination> {
        // Following links asks the file system, which may take its time.
        let policy = configuration.streamLocal
        return NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
            switch policy.address(of: socketPath, for: .connect) {
            case .success(let address): .addresses([address])
            case .failure(let failure): .refused(failure)
            }
        }
    }

    package func listener(
        bindAddress: String, port: UInt16, for session: SessionIdentity
    ) -> Result<ListenerPlace, OpenFailure> {
        let request = ListenerPolicy.request(bindAddress)
        if case .name(let name) = request {
            return intercepts?.claim(name, port: port, for: session)
                ?? .failure(
                    OpenFailure(.administrativelyProhibited, "\(name.shortened) is not an address of the manager"))
        }
        if port != 0, port < 1024, !configuration.listeners.allowsPrivilegedPorts {
            return .failure(
                OpenFailure(
                    .administrativelyProhibited,
                    "port \(port) is privileged (the manager runs without --allow-privileged-ports)"))
        }
        do {
            return .success(
                ListenerPlace(addresses: try configuration.listeners.addresses(for: request, port: port)))
        } catch {
            return .failure(OpenFailure(.connectFailed, "\(bindAddress.shortened) is not an address to listen on"))
        }
    }

    package func listener(socketPath: String, for session: SessionIdentity) -> Result<ListenerPlace, OpenFailure> {
        configuration.streamLocal.address(of: socketPath, for: .listen).map { ListenerPlace(addresses: [$0]) }
    }

    package func forwardEnded(bindAddress: String, port: UInt16, for session: SessionIdentity, isWithdrawn: Bool) {
        intercepts?.ended(bindAddress, port: port, for: session, isWithdrawn: isWithdrawn)
    }

    package func run(
        command: String, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<CommandResult> {
        let commands = commands
        return eventLoop.makeFutureWithTask { await commands.run(command, for: session) }
    }

    package func subsystem(_ name: String, for session: SessionIdentity) -> Subsystem? {
        guard name == "sftp", let handler = services[.sftp], session.permissions.permitsPortForwarding else {
            return nil
        }
        guard intercepts?.hasAgents ?? false else {
            return .unavailable(
                """
                This is a telepresence traffic manager; no workload here has a traffic-agent yet, so there are no files.
                Run 'ssh … list' for the workloads: the files of one with an agent are at /WORKLOAD.
                """)
        }
        return .service { channel in handler(channel, session) }
    }

    private func service(_ name: ReservedName, port: UInt16, for session: SessionIdentity) -> Destination {
        guard port == name.port else {
            return .refused(
                OpenFailure(
                    .administrativelyProhibited,
                    "\(name.rawValue) has no port \(port); it is \(name.rawValue):\(name.port)")
            )
        }
        if name == .datagram, let datagrams {
            return .service { channel in
                datagrams.accept(channel, session: session) { target, eventLoop in
                    destination(of: target, for: session, on: eventLoop)
                }
            }
        }
        guard let handler = services[name] else {
            return .refused(OpenFailure(.connectFailed, "\(name.rawValue) is not served here"))
        }
        return .service { channel in handler(channel, session) }
    }
}
