/// How the pods of a workload are, in the words of Kubernetes.
package struct PodView: Sendable {
    /// Of a container that waits: it will not start without somebody's help.
    private static let hopeless: Set<String> = [
        "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError",
        "CreateContainerError", "CrashLoopBackOff", "RunContainerError",
    ]

    /// Why there will be none, if so.
    package private(set) var failure: String?
    /// One line; empty if there is nothing to tell.
    package private(set) var state = ""

    package init(workload: JSONValue, pods: [JSONValue]) {
        for condition in workload["status"]?["conditions"]?.array ?? [] {
            guard condition["type"] == "ReplicaFailure", condition["status"] == "True" else { continue }
            failure = condition["message"]?.string ?? condition["reason"]?.string
        }
        for pod in pods where pod["metadata"]?["deletionTimestamp"] == nil { look(at: pod) }
        if state.isEmpty, failure == nil { state = "no pod yet" }
    }

    private mutating func look(at pod: JSONValue) {
        let name = pod["metadata"]?["name"]?.string ?? ""
        let status = pod["status"]
        for condition in status?["conditions"]?.array ?? [] {
            guard condition["type"] == "PodScheduled", condition["status"] == "False" else { continue }
            state = "pod \(name) waits for a node: \(condition["message"]?.string ?? "")"
            return
        }
        state = "pod \(name) is \(status?["phase"]?.string?.lowercased() ?? "new")"
        let containers =
            (status?["initContainerStatuses"]?.array ?? []) + (status?["containerStatuses"]?.array ?? [])
        for container in containers {
            guard let waiting = container["state"]?["waiting"], let reason = waiting["reason"]?.string else { continue }
            let last = container["lastState"]?["terminated"]
            // Its last words say more than that it is tried again.
            let words = last?["message"]?.string.flatMap { $0.split(separator: "\n").last.map(String.init) }
            let detail =
                words ?? waiting["message"]?.string
                ?? last.map { "exit status \($0["exitCode"]?.integer ?? -1)" } ?? ""
            let text = "container \(container["name"]?.string ?? "") of pod \(name): \(reason)"
            state = text
            if Self.hopeless.contains(reason) { failure = detail.isEmpty ? text : "\(text): \(Self.oneLine(detail))" }
        }
    }

    private static func oneLine(_ text: String) -> String { String(text.map { $0.isNewline ? " " : $0 }) }

    /// Whether a pod takes connections.
    package static func isReady(_ pod: JSONValue) -> Bool {
        pod["metadata"]?["deletionTimestamp"] == nil
            && (pod["status"]?["conditions"]?.array ?? []).contains { $0["type"] == "Ready" && $0["status"] == "True" }
    }
}
