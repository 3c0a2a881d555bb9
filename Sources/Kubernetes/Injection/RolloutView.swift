/// How far the replicas of a workload are with what its template says now.
package struct RolloutView: Sendable {
    /// All of them are as the template says, and ready.
    package let isComplete: Bool

    package init(_ workload: JSONValue) {
        let status = workload["status"]
        func count(_ name: String) -> Int { status?[name]?.integer ?? 0 }
        let wanted = workload["spec"]?["replicas"]?.integer ?? 1
        let generation = workload["metadata"]?["generation"]?.integer ?? 0
        let isObserved = count("observedGeneration") >= generation
        // A ReplicaSet does not tell how many are updated: whoever changes it replaces its pods.
        let updated = workload["kind"] == "ReplicaSet" ? count("replicas") : count("updatedReplicas")
        isComplete = isObserved && updated == wanted && count("replicas") == wanted && count("readyReplicas") == wanted
    }
}
