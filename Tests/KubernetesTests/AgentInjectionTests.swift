import ControlAPI
import Testing

@testable import Kubernetes

@Suite("Agents beside apps, in objects")
struct AgentInjectionTests {
    private static let options = InjectionOptions(
        image: "telepresence:0.5.0", managerHost: "traffic-manager.ambassador", managerHostKey: "SHA256:x")

    private static func workload(_ ports: [JSONValue], probePort: JSONValue = 8080) -> JSONValue {
        [
            "kind": "Deployment", "metadata": ["name": "hello", "namespace": "default", "resourceVersion": "7"],
            "spec": [
                "replicas": 1,
                "template": [
                    "metadata": ["labels": ["app": "hello"]],
                    "spec": [
                        "containers": [
                            [
                                "name": "app", "image": "app", "ports": .array(ports),
                                "readinessProbe": ["httpGet": ["path": "/ready", "port": probePort]],
                            ]
                        ]
                    ],
                ],
            ],
        ]
    }

    private static func service(_ ports: [JSONValue], name: String = "hello", clusterIP: JSONValue = "10.0.0.1")
        -> JSONValue
    {
        [
            "kind": "Service", "metadata": ["name": .string(name), "namespace": "default"],
            "spec": ["clusterIP": clusterIP, "selector": ["app": "hello"], "ports": .array(ports)],
        ]
    }

    private static func agent(_ workload: JSONValue) -> JSONValue? {
        (workload["spec"]?["template"]?["spec"]?["containers"]?.array ?? []).first { $0["name"] == "traffic-agent" }
    }

    private static func variable(_ name: String, _ workload: JSONValue) -> String? {
        (agent(workload)?["env"]?.array ?? []).first { $0["name"]?.string == name }?["value"]?.string
    }

    @Test("a target port that is a number becomes the agent's, and a number again")
    func numeric() throws {
        let (workload, service) = (Self.workload([]), Self.service([["port": 80, "targetPort": 8080]]))
        let plan = try AgentInjection.plan(workload: workload, services: [service], options: Self.options)
        #expect(plan.ports.map(\.appPort) == [8080])
        #expect(plan.ports.map(\.agentPort) == [9900])
        #expect(Self.variable("APP_PORT", plan.workload) == "8080")
        #expect(Self.variable("AGENT_NAME", plan.workload) == "hello")
        #expect(Self.agent(plan.workload)?["args"] == ["agent"])
        #expect(plan.services.first?["spec"]?["ports"]?.array.first?["targetPort"] == "tp-8080")
        #expect(AgentInjection.undone(workload: plan.workload) == workload)
        let changed = try #require(plan.services.first)
        #expect(AgentInjection.undone(service: changed, of: "deployment/hello") == service)
    }

    @Test("a name is taken over, and the app's probes follow its new one")
    func named() throws {
        let port: JSONValue = ["name": "http", "containerPort": 8080]
        let (workload, service) = (
            Self.workload([port], probePort: "http"), Self.service([["port": 80, "targetPort": "http"]])
        )
        let plan = try AgentInjection.plan(workload: workload, services: [service], options: Self.options)
        #expect(plan.services.isEmpty)
        #expect(Self.agent(plan.workload)?["ports"]?.array.first?["name"] == "http")
        let app = plan.workload["spec"]?["template"]?["spec"]?["containers"]?.array.first
        #expect(app?["ports"]?.array.first?["name"] == "tm-http")
        #expect(app?["readinessProbe"]?["httpGet"]?["port"] == "tm-http")
        #expect(Self.variable("PROBE_PATHS", plan.workload) == "8080:/ready")
        #expect(AgentInjection.undone(workload: plan.workload) == workload)
    }

    @Test("a name of fifteen characters stays a name when it is given up, and stays unlike the others")
    func longNames() throws {
        let ports: [JSONValue] = [
            ["name": "fifteen-letters", "containerPort": 1000], ["name": "tm-fifteen-lett", "containerPort": 1001],
        ]
        let workload = Self.workload(ports)
        let plan = try AgentInjection.plan(
            workload: workload, services: [Self.service([["port": 80, "targetPort": "fifteen-letters"]])],
            options: Self.options)
        let app = plan.workload["spec"]?["template"]?["spec"]?["containers"]?.array.first
        let names = (app?["ports"]?.array ?? []).compactMap { $0["name"]?.string }
        #expect(Set(names).count == 2)
        #expect(!names.contains("fifteen-letters"))
        #expect(names.allSatisfy { $0.utf8.count <= 15 })
        #expect(AgentInjection.undone(workload: plan.workload) == workload)
    }

    @Test("several services, ports and protocols of one workload each have the agent's port")
    func several() throws {
        let workload = Self.workload([
            ["containerPort": 9900], ["name": "dns", "containerPort": 53, "protocol": "UDP"],
        ])
        let services = [
            Self.service([["port": 80, "targetPort": 8080], ["port": 53, "targetPort": "dns", "protocol": "UDP"]]),
            Self.service([["port": 8080], ["port": 90, "targetPort": 9000]], name: "other"),
        ]
        let plan = try AgentInjection.plan(workload: workload, services: services, options: Self.options)
        #expect(plan.ports.map(\.appPort) == [8080, 53, 9000])
        // 9900 is the app's.
        #expect(plan.ports.map(\.agentPort) == [9901, 9902, 9903])
        #expect(plan.services.count == 2)
        #expect(Self.variable("APP_PORT", plan.workload) == nil)
        #expect(AgentInjection.undone(workload: plan.workload) == workload)
        for (service, changed) in zip(services, plan.services) {
            #expect(AgentInjection.undone(service: changed, of: "deployment/hello") == service)
        }
    }

    @Test("whoever injects twice changes nothing the second time")
    func again() throws {
        let service = Self.service([["port": 80, "targetPort": 8080]])
        let plan = try AgentInjection.plan(workload: Self.workload([]), services: [service], options: Self.options)
        let second = try AgentInjection.plan(workload: plan.workload, services: plan.services, options: Self.options)
        #expect(second.workload == plan.workload)
        #expect(second.services.isEmpty)
    }

    private static func commands(_ workload: JSONValue) -> String? {
        (workload["spec"]?["template"]?["spec"]?["initContainers"]?.array ?? [])
            .first { $0["name"] == "traffic-redirect" }?["command"]?.array.last?.string
    }

    @Test(
        "where a service is headless its port is led to the agent, if that is asked for",
        arguments: [JSONValue.string("web"), .integer(8080)])
    func redirects(target: JSONValue) throws {
        let workload = Self.workload([["name": "web", "containerPort": 8080]])
        let service = Self.service([["port": 80, "targetPort": target]], clusterIP: "None")
        var options = Self.options
        options.redirects = true
        let plan = try AgentInjection.plan(workload: workload, services: [service], options: options)
        #expect(plan.ports.map(\.appPort) == [8080])
        #expect(plan.services.isEmpty)
        #expect(Self.commands(plan.workload)?.hasSuffix("tcp dport 8080 redirect to :9900") == true)
        // The app keeps its port's name: nobody finds it by the agent's.
        #expect(AgentInjection.containers(plan.workload).first?["ports"] == [["name": "web", "containerPort": 8080]])
        #expect(AgentInjection.redirects(plan.workload))
        #expect(AgentInjection.undone(workload: plan.workload) == workload)
        // It stays, once it is there, whoever asks next.
        let second = try AgentInjection.plan(workload: plan.workload, services: [service], options: Self.options)
        #expect(second.workload == plan.workload)
    }

    @Test("what is not headless needs no redirect")
    func noRedirect() throws {
        var options = Self.options
        options.redirects = true
        let services = [Self.service([["port": 80, "targetPort": 8080]])]
        let plan = try AgentInjection.plan(workload: Self.workload([]), services: services, options: options)
        #expect(Self.commands(plan.workload) == nil)
        let both = services + [Self.service([["port": 8081]], name: "pods", clusterIP: "None")]
        let other = try AgentInjection.plan(workload: Self.workload([]), services: both, options: options)
        #expect(Self.commands(other.workload)?.contains("dport 8080") == false)
        #expect(Self.commands(other.workload)?.hasSuffix("dport 8081 redirect to :9901") == true)
    }

    @Test("what cannot have an agent is told why")
    func refusals() {
        func refusal(_ workload: JSONValue, _ services: [JSONValue]) -> String {
            do {
                _ = try AgentInjection.plan(workload: workload, services: services, options: Self.options)
                return ""
            } catch {
                return error.description
            }
        }
        let service = Self.service([["port": 80]])
        #expect(refusal(Self.workload([]), []).contains("no service leads to deployment hello"))
        #expect(refusal(Self.workload([]), [Self.service([["port": 80]], clusterIP: "None")]).contains("headless"))
        #expect(refusal(Self.workload([]), [Self.service([["port": 80, "targetPort": "http"]])]).contains("port http"))
        var idle = Self.workload([])
        idle["spec"]?["replicas"] = 0
        #expect(refusal(idle, [service]).contains("kubectl scale deployment/hello --replicas=1"))
        var paused = Self.workload([])
        paused["spec"]?["paused"] = true
        #expect(refusal(paused, [service]).contains("kubectl rollout resume deployment/hello"))
        var owned = Self.workload([])
        owned["metadata"]?["ownerReferences"] = [["kind": "Deployment", "name": "web", "controller": true]]
        #expect(refusal(owned, [service]).contains("intercept that"))
    }
}
