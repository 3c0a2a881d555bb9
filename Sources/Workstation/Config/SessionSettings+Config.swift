package import ControlAPI
import Glibc
package import Kubernetes

extension SessionSettings {
    /// What the configuration says, and over it the command line (a layer of its own).
    package init(
        name: String, mode: DaemonStatus.Mode, config: ConfigFile, arguments: ConfigLayer,
        overrides: ConnectionOverrides = ConnectionOverrides()
    ) throws(WorkstationError) {
        let layer = arguments.over(config.settings(for: name))
        let cluster = try Self.cluster(layer, overrides, isAsked: arguments.manager == nil)
        let address = try cluster == nil ? Self.address(layer.manager) : nil
        self.init(
            name: name, mode: mode, host: address?.host ?? "", port: address?.port ?? 0,
            user: cluster == nil ? layer.user ?? Self.currentUser : Self.currentUser,
            identity: UserFiles.absolute(layer.identity ?? ""),
            knownHosts: layer.knownHosts.map(UserFiles.absolute), hostKeys: layer.hostKey ?? [])
        self.cluster = cluster
        namespace = layer.namespace ?? cluster?.namespace
        dns.includeSuffixes = layer.dns.includeSuffixes ?? []
        dns.excludeSuffixes = layer.dns.excludeSuffixes ?? []
        dns.mappings = (layer.dns.mappings ?? []).map { DNS.Mapping(name: $0.name, aliasFor: $0.aliasFor) }
        routes.subnets = layer.routes.subnets ?? []
        routes.alsoProxy = layer.routes.alsoProxy ?? []
        routes.neverProxy = layer.routes.neverProxy ?? []
        routes.virtualSubnets = layer.routes.virtualSubnets ?? routes.virtualSubnets
        routes.isNamesOnly = layer.routes.namesOnly ?? false
        if let both = routes.alsoProxy.first(where: routes.neverProxy.contains) {
            throw .badInput(
                "\(both) is to be proxied and never to be; expected it in one of also-proxy and never-proxy")
        }
        if let text = layer.timeouts.connect, let time = ConfigValue.milliseconds(text) {
            timeouts.connectMilliseconds = time
        }
        if let text = layer.timeouts.keepalive, let time = ConfigValue.milliseconds(text) {
            timeouts.keepaliveMilliseconds = time
        }
        if let text = layer.timeouts.probe, let time = ConfigValue.milliseconds(text) {
            timeouts.probeMilliseconds = time
        }
        logLevel = layer.logLevel ?? logLevel
    }

    /// Flags ask for a cluster; without any there has to be a kubeconfig, and no manager in the configuration.
    private static func cluster(
        _ layer: ConfigLayer, _ overrides: ConnectionOverrides, isAsked: Bool
    ) throws(WorkstationError) -> ClusterSettings? {
        guard isAsked, !overrides.isEmpty || layer.manager == nil else { return nil }
        var overrides = overrides
        overrides.kubeconfig = overrides.kubeconfig ?? layer.kubernetes.kubeconfig
        overrides.context = overrides.context ?? layer.kubernetes.context
        overrides.user = layer.user
        overrides.namespace = layer.namespace
        guard overrides.kubeconfig != nil || ClusterSettings.isPossible else { return nil }
        var cluster = try ClusterSettings(overrides: overrides)
        cluster.image = layer.kubernetes.image ?? cluster.image
        cluster.managerNamespace = layer.kubernetes.managerNamespace
        cluster.transport = layer.kubernetes.transport.flatMap { .init(rawValue: $0) } ?? .auto
        return cluster
    }

    private static func address(_ manager: String?) throws(WorkstationError) -> ManagerAddress {
        guard let manager else {
            let file = ConfigFile.path.map { ", or a line 'manager: HOST' in \($0)" } ?? ""
            throw .badInput("no manager is given, and there is no kubeconfig; expected --manager HOST[:PORT]\(file)")
        }
        do throws(ManagerAddress.Problem) {
            return try ManagerAddress(parsing: manager)
        } catch {
            throw .badInput("'\(manager)': \(error.text)")
        }
    }

    private static var currentUser: String {
        if let entry = getpwuid(getuid()) { return String(cString: entry.pointee.pw_name) }
        return UserFiles.environment("USER") ?? "telepresence"
    }
}
