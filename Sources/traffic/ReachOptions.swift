import ArgumentParser
import NIOCore
import TrafficManager

/// What sessions may reach; nothing but the cluster, unless a flag says so.
struct ReachOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The namespace of names without one.", valueName: "name"))
    var namespace = "default"

    @Option(help: ArgumentHelp("The end of every full name in the cluster.", valueName: "domain"))
    var clusterDomain = "cluster.local"

    @Option(help: ArgumentHelp("cluster: the cluster alone; any: whatever this host can reach.", valueName: "mode"))
    var egress = EgressPolicy.Mode.cluster

    @Flag(help: "With --egress any: this host itself and its link, too.")
    var egressLoopback = false

    @Option(
        name: [.customLong("pod-cidr"), .customLong("pod-subnet")],
        help: ArgumentHelp(
            "Where the pods are: workstations route it here, and may reach it unlisted. Repeatable. (default: routed is "
                + "what is around the addresses that are listed)",
            valueName: "cidr"))
    var podCIDR: [Subnet] = []

    @Option(
        name: [.customLong("service-cidr"), .customLong("service-subnet")],
        help: ArgumentHelp("The same for the services. Repeatable.", valueName: "cidr"))
    var serviceCIDR: [Subnet] = []

    @Option(
        help: ArgumentHelp(
            "Where remote forwards listen: no: on loopback; yes: everywhere; clientspecified: where they ask.",
            valueName: "mode"))
    var gatewayPorts = ListenerPolicy.GatewayPorts.clientspecified

    @Flag(help: "Let remote forwards listen on ports below 1024.")
    var allowPrivilegedPorts = false

    @Option(help: ArgumentHelp("Forward the Unix sockets below this directory; none otherwise.", valueName: "dir"))
    var streamLocalDir: String?

    @Option(
        help: ArgumentHelp(
            """
            Whom names are asked of that the directory does not know, and with --kubernetes all names: an address, system \
            for the servers of resolv.conf, or none. (default: none; with --kubernetes system)
            """, valueName: "address"))
    var dnsServer: String?

    @Option(
        name: .customLong("exclude-variable"),
        help: ArgumentHelp(
            "A variable of containers that stays in the cluster, or the beginning of several: AWS_*. Repeatable.",
            valueName: "name"))
    var excludedVariables: [String] = []

    func validate() throws {
        _ = try resolver(inCluster: false)
        if egressLoopback, egress != .any { throw ValidationError("--egress-loopback needs --egress any") }
        if let streamLocalDir, !streamLocalDir.hasPrefix("/") {
            throw ValidationError(
                "--stream-local-dir: '\(streamLocalDir)' is no absolute path; expected one such as /run/shared")
        }
        for (flag, value) in [("--namespace", namespace), ("--cluster-domain", clusterDomain)] {
            let labels = value.split(separator: ".", omittingEmptySubsequences: false)
            guard labels.allSatisfy(Self.isLabel), flag != "--namespace" || labels.count == 1 else {
                throw ValidationError("\(flag): '\(value)' is no DNS name; expected a-z, 0-9 and '-'")
            }
        }
    }

    var delegate: ManagerDelegate.Configuration {
        var configuration = ManagerDelegate.Configuration()
        configuration.namespace = namespace
        configuration.egress = EgressPolicy(
            mode: egress, clusterSubnets: podCIDR + serviceCIDR, allowsLoopback: egressLoopback)
        configuration.listeners = ListenerPolicy(
            gatewayPorts: gatewayPorts, allowsPrivilegedPorts: allowPrivilegedPorts)
        configuration.streamLocal = StreamLocalPolicy(directory: streamLocalDir)
        return configuration
    }

    func resolver(inCluster: Bool) throws -> ManagerConfiguration.Resolver? {
        let servers: [SocketAddress]
        switch dnsServer ?? (inCluster ? "system" : "none") {
        case "none": return nil
        case "system": servers = ClusterResolver.systemServers()
        case let text:
            guard let address = try? SocketAddress(ipAddress: text, port: 53) else {
                throw ValidationError("--dns-server '\(text)': expected an address, system or none")
            }
            servers = [address]
        }
        return ManagerConfiguration.Resolver(servers: servers, scope: inCluster ? .all : .outside)
    }

    /// RFC 1123 §2.1, in lower case as Kubernetes has it.
    private static func isLabel(_ label: Substring) -> Bool {
        let bytes = label.utf8
        return (1...63).contains(bytes.count) && bytes.first != UInt8(ascii: "-") && bytes.last != UInt8(ascii: "-")
            && bytes.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-") }
    }
}

extension EgressPolicy.Mode: ExpressibleByArgument {}
extension ListenerPolicy.GatewayPorts: ExpressibleByArgument {}

extension Subnet: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}
