import ControlAPI

/// How intercepts are shown to people.
enum InterceptText {
    static func made(_ intercept: LocalIntercept) -> String {
        let isTap = intercept.mode == .wiretap
        let verb = isTap ? "tapped, copying" : "intercepted, redirecting"
        let port = "\(intercept.servicePort)\(intercept.transport == "UDP" ? "/UDP" : "")"
        return """
            \(verb) port \(port) to \(intercept.target)
                \(isTap ? "Copying" : "Intercepting") \(intercept.filter)

            """
    }

    /// What `list` says of a container whose variables and volumes are here; nothing of one that an intercept has without
    /// volumes.
    static func had(_ ingest: LocalIngest) -> String? {
        guard ingest.directory != nil || ingest.intercept == nil else { return nil }
        let place = ingest.directory.map { ", volumes at \($0)" } ?? ""
        let problem = ingest.mountState == .waiting ? " (\(ingest.problem ?? "away"))" : ""
        return "    Container \(ingest.container)\(place)\(problem)\n"
    }

    /// What `list` says of a workload.
    static func state(_ workload: WorkloadInfo, own: [LocalIntercept]) -> String {
        guard workload.intercepts.isEmpty else {
            return workload.intercepts.map { intercept in
                let verb = intercept.mode == .wiretap ? "tapped" : "intercepted"
                let target = own.first { $0.id == intercept.id }?.target
                let whom = target.map { ", redirecting port \(intercept.port) to \($0)" } ?? " by \(intercept.holder)"
                let problem =
                    intercept.state == .active
                    ? own.first { $0.id == intercept.id && $0.refused > 0 }?.problem
                    : intercept.text ?? intercept.state.rawValue
                let state = problem.map { " (\($0))" } ?? ""
                return
                    "\(verb)\(whom)\(state)\n    \(intercept.mode == .wiretap ? "Copying" : "Intercepting") \(intercept.filter)"
            }.joined(separator: "\n")
        }
        if let problem = workload.problem { return "not interceptable: \(problem)" }
        return "ready to intercept (traffic-agent \(workload.agents > 0 ? "already" : "not yet") installed)"
    }
}
