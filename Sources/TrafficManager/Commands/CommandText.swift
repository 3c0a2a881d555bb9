import ControlAPI

/// What the built-in commands print for people.
enum CommandText {
    static func version(_ version: VersionInfo) -> String {
        "\(version.name) \(version.version) (API \(version.apiVersion))"
    }

    static func status(_ status: ManagerStatus) -> String {
        let endpoints = "\(status.endpoints.ready) of \(status.endpoints.total) endpoints ready"
        let rows = [
            ("Manager", version(status.version) + ", up " + HumanUnits.duration(status.uptimeSeconds)),
            ("Sessions", "\(status.sessions) (\(status.channels) channels, \(status.listeners) remote forwards)"),
            (
                "Traffic",
                "\(HumanUnits.bytes(status.bytesReceived)) received, \(HumanUnits.bytes(status.bytesSent)) sent"
            ),
            ("Services", "\(status.services) (\(endpoints))"),
            ("Egress", status.egress == "cluster" ? "cluster only" : status.egress),
            (
                "Problems",
                status.problems.isEmpty ? "none" : status.problems.map { $0.shortened(to: 400) }.joined(separator: "; ")
            ),
        ]
        return rows.map { "\(TextTable.pad($0.0 + ":", to: 10)) \($0.1)\n" }.joined()
    }

    static func services(_ services: [ServiceInfo], namespace: String?) -> String {
        guard !services.isEmpty else {
            return namespace.map { "No services in namespace \($0.shortened).\n" } ?? "No services.\n"
        }
        var table = TextTable(["NAMESPACE", "NAME", "TYPE", "CLUSTER-IP", "PORTS", "READY"])
        for service in services {
            table.add([
                service.namespace, service.name, service.type,
                service.clusterIPs.isEmpty ? "none" : service.clusterIPs.joined(separator: ","),
                service.ports.isEmpty ? "any" : service.ports.map(port).joined(separator: ","),
                "\(service.endpoints.ready)/\(service.endpoints.total)",
            ])
        }
        return table.text
    }

    static func workloads(_ workloads: [WorkloadInfo]) -> String {
        guard !workloads.isEmpty else { return "No workloads.\n" }
        var table = TextTable(["NAMESPACE", "NAME", "AGENTS", "STATE", "ID", "HOLDER"])
        for workload in workloads {
            func add(_ state: String, _ id: String = "", _ holder: String = "") {
                table.add([workload.namespace, workload.name, "\(workload.agents)", state, id, holder])
            }
            for intercept in workload.intercepts {
                let verb = intercept.mode == .wiretap ? "tapped" : "intercepted"
                let more = intercept.text.map { ", \($0)" } ?? ""
                add(
                    "\(verb) on port \(intercept.port), \(intercept.filter): \(intercept.state.rawValue)\(more)",
                    intercept.id, intercept.holder)
            }
            guard workload.intercepts.isEmpty else { continue }
            add(workload.problem.map { "not interceptable: \($0)" } ?? "ready to intercept")
        }
        return table.text
    }

    static func sessions(_ sessions: [SessionInfo], own: UInt64, now: Int64) -> String {
        guard !sessions.isEmpty else { return "No sessions.\n" }
        var table = TextTable([
            "ID", "USER", "KEY", "FROM", "CLIENT", "FOR", "CHANNELS", "FORWARDS", "RECEIVED", "SENT",
        ])
        for session in sessions {
            table.add([
                "\(session.id)\(session.id == own ? "*" : "")", session.user,
                session.keyComment.isEmpty ? session.keyFingerprint : session.keyComment, session.sourceAddress,
                session.clientVersion, HumanUnits.duration(now - session.connectedAt), "\(session.channels)",
                session.listeners.isEmpty ? "none" : session.listeners.joined(separator: ","),
                HumanUnits.bytes(session.bytesReceived), HumanUnits.bytes(session.bytesSent),
            ])
        }
        return table.text
    }

    static var help: String {
        let width = ManagerCommand.allCases.map(\.usage.count).max() ?? 0
        let commands = ManagerCommand.allCases.map { command in
            "  \(TextTable.pad(command.usage, to: width))  \(command.summary)\n"
        }
        return """
            A telepresence traffic manager: it forwards ports into the cluster.

            Commands:
            \(commands.joined())
            Forwards, with any ssh client:
              -L 8080:hello:80                     a service, by its name in the cluster
              -D 1080                              all of them, through SOCKS
              -R 8000:localhost:8000               a port of the manager, to you
              -R hello:80:localhost:9000           intercepts hello: its requests come to you
              -L 5353:dns.telepresence:53          the cluster's DNS: dig +tcp -p 5353 @localhost hello.default.svc.cluster.local
              -L 8081:api.telepresence:8081        the manager's API: curl localhost:8081/openapi.json

            """
    }

    private static func port(_ port: ServiceInfo.Port) -> String {
        (port.name.isEmpty ? "" : "\(port.name):") + "\(port.port)"
            + (port.protocol == "TCP" ? "" : "/\(port.protocol)")
    }
}
