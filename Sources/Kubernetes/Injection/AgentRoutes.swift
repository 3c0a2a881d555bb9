import ControlAPI

/// Where the agent of a workload listens, under which names, and for which ports of the app.
struct AgentRoutes: Hashable, Sendable {
    /// Of a port's name (RFC 6335 §5.1).
    private static let maximumName = 15

    private(set) var ports: [AgentHello.Port] = []
    /// Of the agent's container.
    private(set) var containerPorts: [JSONValue] = []
    private(set) var renames: [InjectionRecord.Rename] = []
    /// Of the app's ports, those that are led to the agent in the pod, by their transport.
    private(set) var redirects: [AgentHello.Port] = []
    private var taken: Set<Int>
    private var names: Set<String>
    /// One of the names that Kubernetes takes a container's port by already.
    private var served: Set<String> = []

    init(workload: JSONValue, services: [JSONValue], redirecting: Bool) throws(InjectionRefusal) {
        let containers = AgentInjection.containers(workload)
        let all = containers.flatMap { $0["ports"]?.array ?? [] }
        taken = Set(all.compactMap { $0["containerPort"]?.integer })
        names = Set(all.compactMap { $0["name"]?.string })
        let name = AgentInjection.shown(workload).replacing("/", with: " ")
        let leading = services.filter { Self.leads($0, to: workload) }
        guard !leading.isEmpty else { throw InjectionRefusal("no service leads to \(name)") }
        let usable = leading.filter { redirecting || !Self.isHeadless($0) }
        // Apps need not say where they listen.
        taken.formUnion(
            usable.flatMap { $0["spec"]?["ports"]?.array ?? [] }
                .compactMap { $0["targetPort"] == nil ? $0["port"]?.integer : $0["targetPort"]?.integer })
        guard !usable.isEmpty else {
            let service = leading[0]["metadata"]?["name"]?.string ?? ""
            throw InjectionRefusal(
                "service \(service) is headless: its clients connect to the pods of \(name) themselves, at the app's own "
                    + "port, where no agent can be, but that --inject-redirect lets an init container lead them to it")
        }
        for service in usable {
            for port in service["spec"]?["ports"]?.array ?? [] { try add(port, of: service, containers, name) }
        }
        guard !ports.isEmpty else { throw InjectionRefusal("no service that leads to \(name) has a port") }
    }

    static func leads(_ service: JSONValue, to workload: JSONValue) -> Bool {
        let labels = workload["spec"]?["template"]?["metadata"]?["labels"]?.object ?? [:]
        let selector = service["spec"]?["selector"]?.object ?? [:]
        return !selector.isEmpty && service["spec"]?["type"]?.string != "ExternalName"
            && selector.allSatisfy { labels[$0.key] == $0.value }
    }

    static func isHeadless(_ service: JSONValue) -> Bool { service["spec"]?["clusterIP"]?.string == "None" }

    private static func transport(_ port: JSONValue) -> String { port["protocol"]?.string ?? "TCP" }

    /// What tells the ports of one service apart.
    static func key(of port: JSONValue) -> String { "\(port["port"]?.integer ?? 0)/\(transport(port))" }

    /// What a target port that is a number becomes.
    static func generatedName(_ port: JSONValue) -> String {
        generatedName(targetPort: port["targetPort"] ?? .null, of: port)
    }

    static func generatedName(targetPort: JSONValue, of port: JSONValue) -> String {
        let number = targetPort.integer ?? port["port"]?.integer ?? 0
        return "tp-\(number)" + (transport(port) == "UDP" ? "-udp" : "")
    }

    // MARK: Ports

    private mutating func add(
        _ port: JSONValue, of service: JSONValue, _ containers: [JSONValue], _ workload: String
    ) throws(InjectionRefusal) {
        let transport = Self.transport(port)
        guard transport == "TCP" || transport == "UDP" else { return }
        if Self.isHeadless(service) { return try redirect(port, transport, of: service, containers, workload) }
        guard let target = port["targetPort"]?.string else {
            let number = UInt16(clamping: port["targetPort"]?.integer ?? port["port"]?.integer ?? 0)
            let container = containers.first { container in
                (container["ports"]?.array ?? []).contains {
                    $0["containerPort"]?.integer == Int(number) && Self.transport($0) == transport
                }
            }
            let owner = container ?? (containers.count == 1 ? containers.first : nil)
            return serve(Self.generatedName(port), number, transport, owner?["name"]?.string)
        }
        for container in containers {
            for one in container["ports"]?.array ?? []
            where one["name"]?.string == target && Self.transport(one) == transport {
                let owner = container["name"]?.string ?? ""
                if !renames.contains(where: { $0.from == target && $0.container == owner }) {
                    renames.append(.init(container: owner, from: target, to: freeName(target)))
                }
                return serve(target, UInt16(clamping: one["containerPort"]?.integer ?? 0), transport, owner)
            }
        }
        throw InjectionRefusal(
            "service \(service["metadata"]?["name"]?.string ?? "") leads to port \(target), which no container of "
                + "\(workload) has")
    }

    /// A port of a headless service: its clients use the app's own, whatever the service calls it.
    private mutating func redirect(
        _ port: JSONValue, _ transport: String, of service: JSONValue, _ containers: [JSONValue], _ workload: String
    ) throws(InjectionRefusal) {
        let target = port["targetPort"]
        var owner = containers.count == 1 ? containers.first : nil
        var number = target == nil ? port["port"]?.integer : target?.integer
        for container in containers {
            for one in container["ports"]?.array ?? [] where Self.transport(one) == transport {
                guard let own = one["containerPort"]?.integer,
                    number.map({ $0 == own }) ?? (one["name"] == target)
                else { continue }
                (number, owner) = (own, container)
            }
        }
        guard let number, let appPort = UInt16(exactly: number) else {
            throw InjectionRefusal(
                "service \(service["metadata"]?["name"]?.string ?? "") leads to port \(target?.string ?? ""), which no "
                    + "container of \(workload) has")
        }
        serve("tp-\(number)" + (transport == "UDP" ? "-udp" : ""), appPort, transport, owner?["name"]?.string)
        guard let served = ports.first(where: { $0.appPort == appPort && $0.transport == transport }),
            !redirects.contains(served)
        else { return }
        redirects.append(served)
    }

    private mutating func serve(_ name: String, _ appPort: UInt16, _ transport: String, _ container: String?) {
        guard served.insert(name).inserted else { return }
        let agentPort: UInt16
        if let present = ports.first(where: { $0.appPort == appPort && $0.transport == transport }) {
            agentPort = present.agentPort
        } else {
            agentPort = freePort()
            ports.append(
                AgentHello.Port(agentPort: agentPort, appPort: appPort, transport: transport, container: container))
        }
        containerPorts.append(
            [
                "name": .string(name), "containerPort": .integer(Int64(agentPort)), "protocol": .string(transport),
            ])
    }

    private mutating func freePort() -> UInt16 {
        let free = (AgentInjection.firstPort...AgentInjection.lastPort).first { !taken.contains(Int($0)) }
        let port = free ?? AgentInjection.lastPort
        taken.insert(Int(port))
        return port
    }

    private mutating func freeName(_ name: String) -> String {
        for suffix in [""] + (2...99).map({ "\($0)" }) {
            var stem = "tm-\(name)".prefix(Self.maximumName - suffix.utf8.count)
            while stem.hasSuffix("-") { stem.removeLast() }
            let free = stem + suffix
            if names.insert(String(free)).inserted { return String(free) }
        }
        return name
    }

    // MARK: The workload

    func addContainer(to workload: inout JSONValue, _ agent: JSONValue, volume: JSONValue) {
        let containers = AgentInjection.containers(workload)
        workload["spec"]?["template"]?["spec"]?["containers"] = .array(containers + [agent])
        let volumes = workload["spec"]?["template"]?["spec"]?["volumes"]?.array ?? []
        workload["spec"]?["template"]?["spec"]?["volumes"] = .array(volumes + [volume])
    }
}
