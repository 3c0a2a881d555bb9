import ArgumentParser
import TrafficManager

/// `traffic manager`
struct ManagerCLI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manager",
        abstract: "Lets SSH clients reach the services of a cluster.",
        discussion: """
            Listens for SSH connections, and connects them to the services of the cluster, by the names and addresses \
            they have there. Any ssh client will do. What there is in the cluster is known from its API, or read from a \
            file of Kubernetes objects, as `kubectl get services,endpointslices -o yaml` prints them. The files are read again when they \
            change; SIGHUP reads them at once. SIGTERM and SIGINT end the manager gracefully, a second one at once.

            EXAMPLES

              Make a host key, let yourself in, and start:

                ssh-keygen -q -t ed25519 -N '' -f host_key
                cp ~/.ssh/id_ed25519.pub authorized_keys
                traffic manager --services services.yaml --authorized-keys authorized_keys --host-key host_key

              From a workstation, reach the service hello, or all of them through SOCKS, or see how the manager is:

                ssh -p 8022 -N -L 8080:hello:80 manager.example.com
                ssh -p 8022 -N -D 1080 manager.example.com
                ssh -p 8022 manager.example.com status

              Also let sessions reach what the manager's host can reach, and sockets below /run/shared:

                traffic manager ... --egress any --stream-local-dir /run/shared

            EXIT STATUS

              0 after a graceful end, 1 when something failed, 2 when a file or an argument is wrong.
            """)

    @OptionGroup(title: "Files") var files: FileOptions
    @OptionGroup(title: "Ports") var ports: PortOptions
    @OptionGroup(title: "What sessions may reach") var reach: ReachOptions
    @OptionGroup(title: "Limits") var limits: LimitOptions
    @OptionGroup(title: "Log") var log: LogOptions

    func run() async throws {
        let sshListen = ports.sshListen.isEmpty ? [ListenAddress(host: "0.0.0.0", port: 8022)] : ports.sshListen
        var configuration = ManagerConfiguration(
            source: try files.source(), authorizedKeys: try files.keys(), hostKeyFiles: files.hostKey,
            sshListen: try sshListen.map { try $0.socketAddress() }, apiListen: try ports.apiListen.socketAddress())
        configuration.clusterDomain = reach.clusterDomain
        configuration.delegate = reach.delegate
        configuration.limits = limits.limits
        configuration.excludedVariables = reach.excludedVariables
        if case .cluster = configuration.source {
            configuration.resolver = try reach.resolver(inCluster: true)
        } else {
            configuration.resolver = try reach.resolver(inCluster: false)
        }
        let logger = log.logger
        try await Manager(configuration, logger: logger).run()
    }
}
