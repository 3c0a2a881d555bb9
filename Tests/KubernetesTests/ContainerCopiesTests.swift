import Kubernetes
import Testing

@Suite("What an agent has of an app's container")
struct ContainerCopiesTests {
    private static let workload: JSONValue = [
        "kind": "Deployment", "metadata": ["name": "shop", "namespace": "default"],
        "spec": [
            "replicas": 1,
            "template": [
                "metadata": ["labels": ["app": "shop"]],
                "spec": [
                    "containers": [
                        ["name": "sidecar", "image": "s", "env": [["name": "A", "value": "sidecar's"]]],
                        [
                            "name": "web", "image": "w", "ports": [["containerPort": 8080]],
                            "readinessProbe": ["httpGet": ["path": "/ready", "port": 8080]],
                            "resources": ["limits": ["memory": "128Mi", "cpu": "1500m"]],
                            "envFrom": [
                                ["configMapRef": ["name": "c"]], ["prefix": "P_", "secretRef": ["name": "s"]],
                            ],
                            "env": [
                                ["name": "A", "value": "web's"],
                                ["name": "URL", "value": "http://$(A).$(B)/$$(A)/$x/$(open"],
                                ["name": "MEMORY", "valueFrom": ["resourceFieldRef": ["resource": "limits.memory"]]],
                                ["name": "CPU", "valueFrom": ["resourceFieldRef": ["resource": "limits.cpu"]]],
                                ["name": "KEY", "valueFrom": ["secretKeyRef": ["name": "s", "key": "k"]]],
                            ],
                            "volumeMounts": [
                                ["name": "d", "mountPath": "/data", "mountPropagation": "Bidirectional"],
                                [
                                    "name": "c", "mountPath": "/etc/c.yaml", "readOnly": true,
                                    "subPathExpr": "$(A)/c.yaml",
                                ],
                            ],
                        ],
                    ],
                    "volumes": [["name": "d", "emptyDir": [:]], ["name": "c", "configMap": ["name": "c"]]],
                ],
            ],
        ],
    ]

    private static let service: JSONValue = [
        "kind": "Service", "metadata": ["name": "shop", "namespace": "default"],
        "spec": ["clusterIP": "10.0.0.1", "selector": ["app": "shop"], "ports": [["port": 80, "targetPort": 8080]]],
    ]

    private static func plan(replacing name: String? = nil) throws -> JSONValue {
        var options = InjectionOptions(image: "i", managerHost: "m", managerHostKey: "SHA256:x")
        options.replaced = name
        return try AgentInjection.plan(workload: workload, services: [service], options: options).workload
    }

    private static func containers(_ workload: JSONValue) -> [JSONValue] {
        workload["spec"]?["template"]?["spec"]?["containers"]?.array ?? []
    }

    private static func agent(_ workload: JSONValue) -> JSONValue? {
        containers(workload).first { $0["name"] == "traffic-agent" }
    }

    private static func variable(_ name: String, _ agent: JSONValue?) -> JSONValue? {
        agent?["env"]?.array.first { $0["name"]?.string == name }
    }

    @Test("variables have a prefix each container, and references follow it")
    func variables() throws {
        let agent = Self.agent(try Self.plan())
        #expect(Self.variable("_TEL_0_A", agent)?["value"] == "sidecar's")
        #expect(Self.variable("_TEL_1_A", agent)?["value"] == "web's")
        #expect(Self.variable("_TEL_1_URL", agent)?["value"] == "http://$(_TEL_1_A).$(_TEL_1_B)/$$(A)/$x/$(open")
        #expect(Self.variable("_TEL_1_KEY", agent)?["valueFrom"]?["secretKeyRef"]?["key"] == "k")
        let memory = Self.variable("_TEL_1_MEMORY", agent)?["valueFrom"]?["resourceFieldRef"]
        #expect(memory?["containerName"] == "web")
        #expect(agent?["envFrom"]?.array.map { $0["prefix"] } == ["_TEL_1_", "_TEL_1_P_"])
    }

    @Test("volumes are mounted once more, below a directory of the container's")
    func volumes() throws {
        let mounts = Self.agent(try Self.plan())?["volumeMounts"]?.array ?? []
        let data = mounts.first { $0["mountPath"] == "/tel_app_mounts/1/data" }
        #expect(data?["name"] == "d")
        #expect(data?["mountPropagation"] == nil)
        let file = mounts.first { $0["mountPath"] == "/tel_app_mounts/1/etc/c.yaml" }
        #expect(file?["readOnly"] == true)
        #expect(file?["subPathExpr"] == "$(_TEL_1_A)/c.yaml")
    }

    @Test("the container whose port is taken over comes first")
    func order() throws {
        let text = Self.variable("AGENT_CONTAINERS", Self.agent(try Self.plan()))?["value"]?.string ?? ""
        let (web, sidecar) = (text.firstRange(of: "\"web\""), text.firstRange(of: "\"sidecar\""))
        #expect(try #require(web).lowerBound < #require(sidecar).lowerBound)
    }

    @Test(
        "a container that is replaced is left out, and comes back as it was",
        arguments: ["web", InjectionOptions.appContainer])
    func replaced(name: String) throws {
        let changed = try Self.plan(replacing: name)
        #expect(Self.containers(changed).map { $0["name"] } == ["sidecar", "traffic-agent"])
        #expect(AgentInjection.replaced(in: changed) == "web")
        let agent = Self.agent(changed)
        #expect(Self.variable("AGENT_REPLACES", agent)?["value"] == "web")
        // Kubernetes resolves nothing of a container that is not there.
        #expect(Self.variable("_TEL_1_MEMORY", agent) == ["name": "_TEL_1_MEMORY", "value": "134217728"])
        #expect(Self.variable("_TEL_1_CPU", agent)?["value"] == "2")
        #expect(Self.variable("PROBE_PATHS", agent) == nil)
        #expect(AgentInjection.undone(workload: changed) == Self.workload)
    }

    @Test("one that is not there cannot be replaced")
    func unknown() {
        #expect(throws: InjectionRefusal.self) { try Self.plan(replacing: "nobody") }
    }
}
