package import ControlAPI
import Glibc

extension SessionSettings {
    /// What the configuration says, and over it the command line (a layer of its own).
    package init(
        name: String, mode: DaemonStatus.Mode, config: ConfigFile, arguments: ConfigLayer
    ) throws(WorkstationError) {
        let layer = arguments.over(config.settings(for: name))
        guard let manager = layer.manager else {
            let file = ConfigFile.path.map { ", or a line 'manager: HOST' in \($0)" } ?? ""
            throw .badInput("no manager is given; expected --manager HOST[:PORT]\(file)")
        }
        let address: ManagerAddress
        do throws(ManagerAddress.Problem) {
            address = try ManagerAddress(parsing: manager)
        } catch {
            throw .badInput("'\(manager)': \(error.text)")
        }
        self.init(
            name: name, mode: mode, host: address.host, port: address.port, user: layer.user ?? Self.currentUser,
            identity: UserFiles.absolute(layer.identity ?? ""),
            knownHosts: layer.knownHosts.map(UserFiles.absolute), hostKeys: layer.hostKey ?? [])
        namespace = layer.namespace
        dns.includeSuffixes = layer.dns.includeSuffixes ?? []
        dns.excludeSuffixes = layer.dns.excludeSuffixes ?? []
        dns.mappings = (layer.dns.mappings ?? []).map { DNS.Mapping(name: $0.name, aliasFor: $0.aliasFor) }
        routes.subnets = layer.routes.subnets ?? []
        routes.alsoProxy = layer.routes.alsoProxy ?? []
        routes.neverProxy = layer.routes.neverProxy ?? []
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

    private static var currentUser: String {
        if let entry = getpwuid(getuid()) { return String(cString: entry.pointee.pw_name) }
        return UserFiles.environment("USER") ?? "telepresence"
    }
}
