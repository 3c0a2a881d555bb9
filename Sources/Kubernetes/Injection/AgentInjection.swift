import ControlAPI
import FoundationEssentials

/// Puts an agent's container beside an app's, and takes it out again. Pure: objects go in as the API has them, and come out
/// as they should be.
///
/// A named target port is taken over: the app's container gives its name up, and the agent has it. A target port that is a
/// number is made a name: that of a port of the agent's.
package enum AgentInjection {
    package static let container = "traffic-agent"
    /// The init container that leads ports to the agent.
    package static let redirectContainer = "traffic-redirect"
    /// What `install` left to be undone: on the workload, and on its services.
    package static let workloadAnnotation = "telepresence.io/traffic-agent"
    package static let serviceAnnotation = "telepresence.io/target-ports"
    /// Whom the agents' tokens are for.
    package static let audience = "traffic-manager"
    package static let firstPort: UInt16 = 9900
    package static let lastPort: UInt16 = 9999
    static let volume = "traffic-agent-token"
    static let tokenDirectory = "/var/run/secrets/telepresence"
    /// The image's user.
    private static let userID: Int64 = 65_532

    /// `services` are all of the namespace.
    package static func plan(
        workload: JSONValue, services: [JSONValue], options: InjectionOptions
    ) throws(InjectionRefusal) -> InjectionPlan {
        // What is there of an older agent is replaced.
        let original = undone(workload: workload) ?? workload
        if let problem = problem(of: original) { throw InjectionRefusal(problem) }
        let originals = services.map { undone(service: $0, of: shown(original)) ?? $0 }
        let routes = try AgentRoutes(
            workload: original, services: originals, redirecting: options.redirects || redirects(workload))
        var changed = original
        let record = try InjectionRecord(routes, of: original, replacing: options.replaced)
        record.rename(in: &changed)
        record.leaveOut(in: &changed)
        routes.addContainer(
            to: &changed, agent(routes, original, options, replaced: record.replaced?.name), volume: tokenVolume)
        addRedirect(routes, to: &changed, options)
        changed["metadata"]?.setAnnotation(workloadAnnotation, record.text)
        return InjectionPlan(
            workload: changed, services: serviceChanges(workload: changed, services: services), ports: routes.ports)
    }

    /// `deployment/hello`
    static func shown(_ workload: JSONValue) -> String {
        "\(workload["kind"]?.string?.lowercased() ?? "workload")/\(workload["metadata"]?["name"]?.string ?? "")"
    }

    /// The reference to what an object belongs to, such as a pod's ReplicaSet.
    package static func controller(of object: JSONValue) -> JSONValue? {
        object["metadata"]?["ownerReferences"]?.array.first { $0["controller"] == true }
    }

    package static func hasAgent(_ workload: JSONValue) -> Bool {
        containers(workload).contains { $0["name"]?.string == container }
    }

    /// Whether the ports of headless services are led to its agents.
    package static func redirects(_ workload: JSONValue) -> Bool {
        (workload["spec"]?["template"]?["spec"]?["initContainers"]?.array ?? [])
            .contains { $0["name"]?.string == redirectContainer }
    }

    /// Where the agent of a workload finds its manager: there may be others in the cluster.
    package static func managerHost(of workload: JSONValue) -> String? {
        let agent = containers(workload).first { $0["name"]?.string == container }
        return (agent?["env"]?.array ?? []).first { $0["name"] == "MANAGER_HOST" }?["value"]?.string
    }

    /// The container that is left out of a workload.
    package static func replaced(in workload: JSONValue) -> String? {
        InjectionRecord(workload["metadata"]?["annotations"]?[workloadAnnotation]?.string)?.replaced?.name
    }

    static func containers(_ workload: JSONValue) -> [JSONValue] {
        workload["spec"]?["template"]?["spec"]?["containers"]?.array ?? []
    }

    /// Why a workload cannot have one now, whatever its services are.
    package static func problem(of workload: JSONValue) -> String? {
        let (spec, name) = (workload["spec"], shown(workload).replacing("/", with: " "))
        let command = shown(workload)
        if let owner = controller(of: workload) {
            let (kind, owner) = (owner["kind"]?.string?.lowercased() ?? "", owner["name"]?.string ?? "")
            return "\(name) belongs to \(kind) \(owner): intercept that"
        }
        if spec?["replicas"]?.integer == 0 {
            return "\(name) has no replicas: kubectl scale \(command) --replicas=1"
        }
        if spec?["paused"] == true { return "\(name) is paused: kubectl rollout resume \(command)" }
        if spec?["template"]?["spec"]?["hostNetwork"] == true {
            return "\(name) uses the network of its node, where an agent would be in others' way"
        }
        if spec?["updateStrategy"]?["type"]?.string == "OnDelete" {
            return "\(name) changes its pods only when somebody deletes them (updateStrategy OnDelete)"
        }
        for condition in workload["status"]?["conditions"]?.array ?? []
        where condition["type"] == "Progressing" && condition["status"] == "False" {
            return "\(name) is stuck in a rollout: \(condition["message"]?.string ?? "no reason is given")"
        }
        return nil
    }

    // MARK: The container

    private static func agent(
        _ routes: AgentRoutes, _ workload: JSONValue, _ options: InjectionOptions, replaced: String?
    ) -> JSONValue {
        func value(_ name: String, _ text: String) -> JSONValue { ["name": .string(name), "value": .string(text)] }
        func field(_ name: String, _ path: String) -> JSONValue {
            [
                "name": .string(name),
                "valueFrom": ["fieldRef": ["apiVersion": "v1", "fieldPath": .string(path)]],
            ]
        }
        var environment = [
            value("LOG_LEVEL", options.logLevel),
            value("AGENT_NAME", workload["metadata"]?["name"]?.string ?? ""),
            field("AGENT_NAMESPACE", "metadata.namespace"), field("POD_NAME", "metadata.name"),
            value("AGENT_KIND", workload["kind"]?.string?.lowercased() ?? ""),
        ]
        if routes.ports.count == 1, let only = routes.ports.first, only.transport == "TCP" {
            environment += [value("APP_PORT", "\(only.appPort)"), value("AGENT_PORT", "\(only.agentPort)")]
        } else {
            environment.append(value("AGENT_PORTS", InjectionRecord.encode(routes.ports)))
        }
        environment += [
            value("AGENT_DRAIN", "5"), value("MANAGER_HOST", options.managerHost),
            value("MANAGER_PORT", "\(options.managerPort)"),
            value("MANAGER_HOST_KEY", options.managerHostKey), value("AGENT_TOKEN", "\(tokenDirectory)/token"),
        ]
        if let replaced { environment.append(value("AGENT_REPLACES", replaced)) }
        // Nobody else answers for a container that is not there.
        let paths = replaced == nil ? probePaths(workload) : []
        if !paths.isEmpty { environment.append(value("PROBE_PATHS", paths.joined(separator: ","))) }
        var agent: JSONValue = [
            "name": .string(container), "image": .string(options.image), "args": ["agent"],
            "env": .array(environment), "ports": .array(routes.containerPorts),
            "resources": [
                "requests": ["cpu": "10m", "memory": "32Mi"], "limits": ["cpu": "1", "memory": "128Mi"],
            ],
            "securityContext": [
                "allowPrivilegeEscalation": false, "capabilities": ["drop": ["ALL"]], "readOnlyRootFilesystem": true,
                "runAsNonRoot": true, "runAsUser": .integer(userID), "seccompProfile": ["type": "RuntimeDefault"],
            ],
            // So that why it ended can be told without its log.
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [["name": .string(volume), "mountPath": .string(tokenDirectory), "readOnly": true]],
        ]
        ContainerCopies.add(to: &agent, of: containers(workload), ports: routes.ports, replaced: replaced)
        if let user = user(of: workload) { agent["securityContext"]?["runAsUser"] = .integer(user) }
        if let policy = options.imagePullPolicy { agent["imagePullPolicy"] = .string(policy) }
        if let port = routes.ports.first(where: { $0.transport == "TCP" }) {
            // Once: a probe that goes on would be a connection to the app each time.
            agent["startupProbe"] = [
                "tcpSocket": ["port": .integer(Int64(port.agentPort))], "periodSeconds": 1, "failureThreshold": 60,
            ]
        }
        return agent
    }

    /// Packets for the app's own port that come from outside of the pod go to the agent's; what the agent sends to the app
    /// by loopback does not pass there.
    private static func addRedirect(_ routes: AgentRoutes, to workload: inout JSONValue, _ options: InjectionOptions) {
        guard !routes.redirects.isEmpty else { return }
        let rules = routes.redirects.map { port in
            "add rule inet telepresence ports \(port.transport.lowercased()) dport \(port.appPort) redirect to :\(port.agentPort)"
        }
        let commands =
            [
                "add table inet telepresence", "flush table inet telepresence",
                "add chain inet telepresence ports { type nat hook prerouting priority dstnat; }",
            ] + rules
        var container: JSONValue = [
            "name": .string(redirectContainer), "image": .string(options.image),
            "command": ["/usr/sbin/nft", .string(commands.joined(separator: "; "))],
            "resources": [
                "requests": ["cpu": "10m", "memory": "16Mi"], "limits": ["cpu": "100m", "memory": "64Mi"],
            ],
            "securityContext": [
                "allowPrivilegeEscalation": false, "capabilities": ["drop": ["ALL"], "add": ["NET_ADMIN"]],
                "readOnlyRootFilesystem": true, "runAsNonRoot": false, "runAsUser": 0,
                "seccompProfile": ["type": "RuntimeDefault"],
            ],
            "terminationMessagePolicy": "FallbackToLogsOnError",
        ]
        if let policy = options.imagePullPolicy { container["imagePullPolicy"] = .string(policy) }
        let others = workload["spec"]?["template"]?["spec"]?["initContainers"]?.array ?? []
        workload["spec"]?["template"]?["spec"]?["initContainers"] = .array(others + [container])
    }

    /// The app's, where it is said and not root: its files are its own.
    private static func user(of workload: JSONValue) -> Int64? {
        let pod = workload["spec"]?["template"]?["spec"]?["securityContext"]?["runAsUser"]?.integer
        let user = containers(workload).first?["securityContext"]?["runAsUser"]?.integer ?? pod
        guard let user, user != 0 else { return nil }
        return Int64(user)
    }

    private static let tokenVolume: JSONValue = [
        "name": .string(volume),
        "projected": [
            "defaultMode": 0o444,
            "sources": [
                [
                    "serviceAccountToken": [
                        "audience": .string(audience), "expirationSeconds": 3600, "path": "token",
                    ]
                ]
            ],
        ],
    ]

    /// What kubelets ask the app itself about, in clear text: `8080:/ready`.
    private static func probePaths(_ workload: JSONValue) -> [String] {
        var paths: [String] = []
        for container in containers(workload) {
            let ports = container["ports"]?.array ?? []
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                guard let request = container[probe]?["httpGet"], let path = request["path"]?.string,
                    request["scheme"]?.string ?? "HTTP" == "HTTP"
                else { continue }
                let named = ports.first { $0["name"] != nil && $0["name"] == request["port"] }
                guard let port = request["port"]?.integer ?? named?["containerPort"]?.integer else { continue }
                if !paths.contains("\(port):\(path)") { paths.append("\(port):\(path)") }
            }
        }
        return paths
    }

    // MARK: Services

    /// Those that are to lead to the agents of a workload, and do not yet.
    package static func serviceChanges(workload: JSONValue, services: [JSONValue]) -> [JSONValue] {
        let agent = containers(workload).first { $0["name"]?.string == container }
        let names = Set((agent?["ports"]?.array ?? []).compactMap { $0["name"]?.string })
        return services.compactMap { service in
            guard AgentRoutes.leads(service, to: workload), !AgentRoutes.isHeadless(service) else { return nil }
            // Ports of a service that was changed before are kept as they were then.
            var kept = record(of: service, shown(workload))?["targetPorts"]?.object ?? [:]
            var isNew = false
            var changed = service
            changed["spec"]?["ports"] = .array(
                (service["spec"]?["ports"]?.array ?? []).map { port in
                    let name = AgentRoutes.generatedName(port)
                    guard port["targetPort"]?.string == nil, names.contains(name) else { return port }
                    kept[AgentRoutes.key(of: port)] = port["targetPort"] ?? .null
                    isNew = true
                    var port = port
                    port["targetPort"] = .string(name)
                    return port
                })
            guard isNew else { return nil }
            let record: JSONValue = ["workload": .string(shown(workload)), "targetPorts": .object(kept)]
            changed["metadata"]?.setAnnotation(serviceAnnotation, record.text)
            return changed
        }
    }

    // MARK: Undoing

    /// Without the agent; what others changed since stays. `nil` where there is nothing of ours.
    package static func undone(workload: JSONValue) -> JSONValue? {
        let text = workload["metadata"]?["annotations"]?[workloadAnnotation]?.string
        guard text != nil || hasAgent(workload) else { return nil }
        var changed = workload
        let record = InjectionRecord(text)
        record?.undo(in: &changed)
        func kept(_ items: [JSONValue], _ name: String) -> [JSONValue] { items.filter { $0["name"]?.string != name } }
        let others = kept(containers(changed), container)
        changed["spec"]?["template"]?["spec"]?["containers"] = .array(others)
        record?.putBack(in: &changed)
        let volumes = kept(workload["spec"]?["template"]?["spec"]?["volumes"]?.array ?? [], volume)
        changed["spec"]?["template"]?["spec"]?["volumes"] = volumes.isEmpty ? nil : .array(volumes)
        let initial = kept(workload["spec"]?["template"]?["spec"]?["initContainers"]?.array ?? [], redirectContainer)
        changed["spec"]?["template"]?["spec"]?["initContainers"] = initial.isEmpty ? nil : .array(initial)
        changed["metadata"]?.removeAnnotation(workloadAnnotation)
        return changed
    }

    private static func record(of service: JSONValue, _ workload: String) -> JSONValue? {
        guard let text = service["metadata"]?["annotations"]?[serviceAnnotation]?.string,
            let record = JSONValue(text: text), record["workload"]?.string == workload
        else { return nil }
        return record
    }

    /// Leading where it led before. `nil` where it was not changed for that workload, `deployment/hello`.
    package static func undone(service: JSONValue, of workload: String) -> JSONValue? {
        guard let record = record(of: service, workload) else { return nil }
        var changed = service
        changed["spec"]?["ports"] = .array(
            (service["spec"]?["ports"]?.array ?? []).map { port in
                guard let target = record["targetPorts"]?[AgentRoutes.key(of: port)],
                    port["targetPort"]?.string == AgentRoutes.generatedName(targetPort: target, of: port)
                else { return port }
                var port = port
                port["targetPort"] = target == .null ? nil : target
                return port
            })
        changed["metadata"]?.removeAnnotation(serviceAnnotation)
        return changed
    }
}

extension JSONValue {
    /// From JSON; `nil` for what is none.
    init?(text: String) {
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)) else { return nil }
        self = value
    }

    /// The same for the same value.
    var text: String { (try? encoded()).map { String(decoding: $0, as: UTF8.self) } ?? "{}" }

    /// Of an object's `metadata`.
    mutating func setAnnotation(_ name: String, _ text: String) {
        var annotations = self["annotations"]?.object ?? [:]
        annotations[name] = .string(text)
        self["annotations"] = .object(annotations)
    }

    mutating func removeAnnotation(_ name: String) {
        var annotations = self["annotations"]?.object ?? [:]
        annotations[name] = nil
        // The API server keeps no empty map either.
        self["annotations"] = annotations.isEmpty ? nil : .object(annotations)
    }
}
