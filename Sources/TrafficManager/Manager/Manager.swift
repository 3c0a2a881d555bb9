import ControlAPI
import Glibc
import Kubernetes
package import Logging
import NIOCore
import NIOPosix
import SSHProtocol
import SSHServer
import ServiceLifecycle
import UnixSignals

/// The traffic manager: everything in one process, from its files to its ports.
package struct Manager: Sendable {
    /// Drain time of the SSH server, and what the API may need behind it.
    private static let shutdownDuration = Duration.seconds(10)

    private let directory: any DirectorySource
    private let client: KubernetesClient?
    private let workloads: WorkloadService?
    private let authorizedKeys: any AuthorizedKeysProvider
    private let overview: ManagerOverview
    private let intercepts: InterceptService
    private let api: APIServer
    private let networks: ClusterNetworks?
    private let ssh: SSHServer
    private let logger: Logger

    /// Reads the files and takes the ports; serves nobody yet.
    ///
    /// - Throws: `StartFailure`.
    package init(_ configuration: ManagerConfiguration, logger: Logger) async throws {
        raiseFileDescriptorLimit()
        var hostKeys: [PrivateKey] = []
        for file in configuration.hostKeyFiles { hostKeys.append(try HostKeyFile.read(file)) }
        let pods: PodAddresses?
        let networks: ClusterNetworks?
        switch configuration.source {
        case .file(let file):
            pods = nil
            networks = nil
            client = nil
            workloads = nil
            do throws(InputError) {
                directory = try StaticDirectory(
                    file: file, clusterDomain: configuration.clusterDomain, logger: logger)
            } catch {
                throw StartFailure.badInput("\(error)")
            }
        case .cluster(let cluster):
            let client: KubernetesClient
            do throws(KubernetesError) {
                client = try KubernetesClient(cluster.access, group: MultiThreadedEventLoopGroup.singleton)
            } catch {
                throw StartFailure.badInput("\(error)")
            }
            self.client = client
            let directory = ClusterDirectory(
                client: client, namespaces: cluster.namespaces, clusterDomain: configuration.clusterDomain,
                logger: logger)
            self.directory = directory
            pods = PodAddresses(client: client, namespaces: cluster.namespaces)
            networks = ClusterNetworks(client: client, logger: logger)
            workloads = cluster.agents.map { agents in
                WorkloadService(
                    client: client, namespaces: cluster.namespaces,
                    options: InjectionOptions(
                        image: agents.image, managerHost: agents.managerHost,
                        managerHostKey: hostKeys.first?.publicKey.fingerprint ?? ""),
                    directory: directory.directory, logger: logger)
            }
        }
        authorizedKeys = try Self.keys(configuration, client, logger)

        let clock: @Sendable () -> Int64 = { Int64(time(nil)) }
        let services = directory.directory
        let list = ServiceList(services)
        let (namespace, subnets) = (configuration.delegate.namespace, configuration.delegate.egress.clusterSubnets)
        let datagrams = DatagramService(logger: logger)
        intercepts = InterceptService(
            directory: services, cluster: workloads, namespace: namespace,
            excludedVariables: configuration.excludedVariables, logger: logger, now: clock)
        let intercepts = intercepts
        overview = ManagerOverview(
            egress: configuration.delegate.egress.mode.rawValue, now: clock, services: { list.infos },
            cluster: {
                let told = subnets.isEmpty ? networks?.subnets ?? [] : subnets
                return ClusterInfo(services.snapshot, namespace: namespace, subnets: told)
            },
            datagrams: { datagrams.figures }, directoryProblem: { services.problem },
            intercepts: intercepts)
        let group = MultiThreadedEventLoopGroup.singleton
        let api = APIServer(overview: overview, client: client, group: group, logger: logger)
        let resolver = try await Self.resolver(configuration, group, logger)
        let pool = NIOThreadPool(numberOfThreads: SystemResolver.threads)
        pool.start()
        let delegate = ManagerDelegate(
            configuration: configuration.delegate, directory: services, resolver: SystemResolver(pool: pool),
            commands: ManagerCommands(overview: overview, now: clock),
            services: [
                .api: { channel, session in api.accept(channel, session: session) },
                .dns: { channel, _ in serveDNS(on: channel, directory: services, resolver: resolver) },
                .sftp: { channel, session in FileSession.serve(channel, session: session, intercepts: intercepts) },
                .agent: { channel, session in intercepts.accept(channel, session: session) },
            ],
            datagrams: datagrams, intercepts: intercepts, agents: client.map { AgentAuthenticator(client: $0) },
            pods: pods)
        var sshConfiguration = SSHServerConfiguration(
            listen: configuration.sshListen, hostKeys: hostKeys, authorizedKeys: authorizedKeys.source)
        sshConfiguration.tokenUser = client == nil ? nil : ManagerDelegate.agentUser
        sshConfiguration.limits = configuration.limits
        sshConfiguration.softwareVersion = ManagerVersion.sshSoftware
        self.api = api
        self.networks = networks
        self.logger = logger
        ssh = SSHServer(configuration: sshConfiguration, delegate: delegate, group: group, logger: logger)
        for key in hostKeys {
            logger.info(
                "host key",
                metadata: ["type": "\(key.publicKey.algorithmName)", "fingerprint": "\(key.publicKey.fingerprint)"])
        }
        do {
            _ = try await ssh.bind()
            _ = try await api.bind(to: configuration.apiListen)
        } catch let error as ListenError {
            throw StartFailure.failed("\(error)")
        }
    }

    /// Serves until SIGTERM or SIGINT, gracefully; a second one ends the process at once. SIGHUP reads the files again.
    package func run() async throws {
        overview.attach(ssh)
        var services: [any ServiceLifecycle.Service] = [directory, authorizedKeys]
        if let workloads { services.append(workloads) }
        if let networks { services.append(networks) }
        services += [api, ssh]
        var configuration = ServiceGroupConfiguration(
            services: services.map { .init(service: $0) }, logger: logger)
        configuration.maximumGracefulShutdownDuration = Self.shutdownDuration
        let group = ServiceGroup(configuration: configuration)
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await handle(signals, group) }
            tasks.addTask { try await expireLeases() }
            tasks.addTask { await intercepts.followDirectory() }
            try await group.run()
            tasks.cancelAll()
        }
        await client?.shutDown()
        logger.info("stopped")
    }

    private static func keys(
        _ configuration: ManagerConfiguration, _ client: KubernetesClient?, _ logger: Logger
    ) throws(StartFailure) -> any AuthorizedKeysProvider {
        switch configuration.authorizedKeys {
        case .file(let file): return try AuthorizedKeysFile(file: file, logger: logger)
        case .secret(let name):
            guard let client else { throw .badInput("--authorized-keys-secret needs --kubernetes") }
            return AuthorizedKeysSecret(
                client: client, name: name, namespace: client.access.namespace, logger: logger)
        }
    }

    private static func resolver(
        _ configuration: ManagerConfiguration, _ group: any EventLoopGroup, _ logger: Logger
    ) async throws -> ClusterResolver? {
        guard let settings = configuration.resolver, !settings.servers.isEmpty else { return nil }
        return try await ClusterResolver(
            servers: settings.servers, scope: settings.scope, on: group.next(), logger: logger)
    }

    private func expireLeases() async throws {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            intercepts.expire()
        }
    }

    private func handle(_ signals: UnixSignalsSequence, _ group: ServiceGroup) async {
        var isShuttingDown = false
        for await signal in signals {
            if signal == .sighup {
                await directory.readAgain()
                await authorizedKeys.reload()
                continue
            }
            // As a shell shows a process that a signal ended.
            if isShuttingDown { _exit(128 + (signal == .sigint ? SIGINT : SIGTERM)) }
            isShuttingDown = true
            overview.beginShutdown()
            await group.triggerGracefulShutdown()
        }
    }
}

/// Each forwarded connection takes one: as many as the system lets this process have.
private func raiseFileDescriptorLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
