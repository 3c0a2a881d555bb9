/// Puts traffic agents beside apps through the API of a cluster, and takes them out again: the workload first, its services
/// once every replica has an agent, and backwards when it is undone.
///
/// Everything that is needed to undo it is in annotations of the objects: whoever comes next can go on, or back.
package struct AgentInstaller: Sendable {
    package struct Target: Hashable, Sendable {
        package var resource: Resource
        package var namespace: String
        package var name: String

        package init(_ resource: Resource, namespace: String, name: String) {
            self.resource = resource
            self.namespace = namespace
            self.name = name
        }

        var path: String { resource.path(namespace: namespace, name: name) }

        /// `deployment/hello`
        package var shown: String { "\(resource.kind.lowercased())/\(name)" }
    }

    /// Between looks at a rollout.
    private static let lookInterval = Duration.milliseconds(150)
    /// After which a workload without a pod that has an agent is asked why.
    private static let firstPod = Duration.seconds(5)
    /// For a pod that takes the place of another.
    private static let replacing = Duration.seconds(60)
    /// Times that others may change an object while it is changed here.
    private static let attempts = 5

    private let client: KubernetesClient

    package init(client: KubernetesClient) { self.client = client }

    // MARK: Installing

    /// Returns once every replica has an agent, and the services lead to it. Throws, with everything as it was before, when
    /// that does not happen in time.
    package func install(
        _ target: Target, options: InjectionOptions, within patience: Duration, progress: (String) -> Void
    ) async throws {
        let deadline = ContinuousClock.now + patience
        var before: JSONValue = .null
        let isNew = try await retrying {
            before = try await client.get(target.resource, target.name, namespace: target.namespace)
            let plan = try AgentInjection.plan(
                workload: before, services: try await services(target), options: options)
            guard plan.workload != before else { return false }
            try await write(target.path, before, plan.workload)
            return true
        }
        do {
            if isNew { try await replacePods(target, progress) }
            try await follow(target, until: deadline, progress)
            try await finish(target)
        } catch {
            guard isNew else { throw error }
            let cause = await reason(error, target)
            // In a task of its own: whoever gave up must not leave it half-done.
            do {
                try await Task {
                    try await remove(target)
                    try await replaceBrokenPods(target)
                }.value
            } catch {
                throw InjectionRefusal(
                    "\(cause); and that it was not taken out again is for you to mend: \(error)")
            }
            throw cause
        }
    }

    /// The second step: services lead to the agents that are there.
    package func finish(_ target: Target) async throws {
        try await retrying {
            let workload = try await client.get(target.resource, target.name, namespace: target.namespace)
            let services = try await services(target)
            let old = Dictionary(uniqueKeysWithValues: services.map { (Self.name($0), $0) })
            for service in AgentInjection.serviceChanges(workload: workload, services: services) {
                let name = Self.name(service)
                guard let before = old[name] else { continue }
                try await write(Resource.services.path(namespace: target.namespace, name: name), before, service)
            }
        }
    }

    private static func name(_ object: JSONValue) -> String { object["metadata"]?["name"]?.string ?? "" }

    private func services(_ target: Target) async throws -> [JSONValue] {
        try await client.list(.services, namespace: target.namespace)
    }

    /// A ReplicaSet leaves the pods that it has as they are: they are made anew, one after the other.
    private func replacePods(_ target: Target, _ progress: (String) -> Void) async throws {
        guard target.resource == .replicaSets else { return }
        for pod in try await pods(target) where pod["metadata"]?["deletionTimestamp"] == nil {
            progress("Replacing pod \(Self.name(pod))")
            try await replace(pod, target)
        }
    }

    /// Returns once as many others are ready as there are to be: one after the other, so that somebody answers.
    private func replace(_ pod: JSONValue, _ target: Target) async throws {
        try await client.delete(.pods, Self.name(pod), namespace: target.namespace)
        let deadline = ContinuousClock.now + Self.replacing
        while ContinuousClock.now < deadline {
            let wanted = try await client.get(target.resource, target.name, namespace: target.namespace)
            let ready = try await pods(target).filter {
                $0["metadata"]?["uid"] != pod["metadata"]?["uid"] && PodView.isReady($0)
            }
            if ready.count >= wanted["spec"]?["replicas"]?.integer ?? 1 { return }
            try await Task.sleep(for: Self.lookInterval)
        }
    }

    /// Kubernetes leaves a StatefulSet's pod that is not ready as it is, whatever the template says since (Rolling
    /// Updates, "Forced rollback"): it is made anew.
    private func replaceBrokenPods(_ target: Target) async throws {
        guard target.resource == .statefulSets else { return }
        for pod in try await pods(target) where Self.hasAgent(pod) && !PodView.isReady(pod) {
            guard pod["metadata"]?["deletionTimestamp"] == nil else { continue }
            try await replace(pod, target)
        }
    }

    private static func hasAgent(_ pod: JSONValue) -> Bool {
        (pod["spec"]?["containers"]?.array ?? []).contains { $0["name"]?.string == AgentInjection.container }
    }

    /// Why no pod is made: a StatefulSet tells it by events alone.
    private func creationFailure(_ target: Target) async throws -> String? {
        let events = try await client.list(.events, namespace: target.namespace)
        let failures = events.filter { event in
            event["reason"] == "FailedCreate" && event["involvedObject"]?["name"]?.string == target.name
                && event["involvedObject"]?["kind"]?.string == target.resource.kind
        }
        let latest = failures.max { $0["lastTimestamp"]?.string ?? "" < $1["lastTimestamp"]?.string ?? "" }
        return latest?["message"]?.string
    }

    private func pods(_ target: Target) async throws -> [JSONValue] {
        let workload = try await client.get(target.resource, target.name, namespace: target.namespace)
        let labels = workload["spec"]?["selector"]?["matchLabels"]?.object ?? [:]
        let selector = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.string ?? "")" }
        return try await client.list(.pods, namespace: target.namespace, selector: selector.joined(separator: ","))
    }

    private func follow(
        _ target: Target, until deadline: ContinuousClock.Instant, _ progress: (String) -> Void
    ) async throws {
        var shown = ""
        let started = ContinuousClock.now
        while true {
            let workload = try await client.get(target.resource, target.name, namespace: target.namespace)
            guard AgentInjection.hasAgent(workload) else {
                throw InjectionRefusal(
                    "the traffic-agent of \(target.shown) was taken out again; its pod template is "
                        + "\(Self.manager(of: workload))'s")
            }
            if RolloutView(workload).isComplete { return }
            let pods = try await pods(target).filter(Self.hasAgent)
            let view = PodView(workload: workload, pods: pods)
            if let failure = view.failure { throw InjectionRefusal(failure) }
            if pods.isEmpty, ContinuousClock.now >= started + Self.firstPod,
                let failure = try? await creationFailure(target)
            {
                throw InjectionRefusal(failure)
            }
            if view.state != shown {
                shown = view.state
                progress(shown)
            }
            guard ContinuousClock.now < deadline else {
                throw InjectionRefusal("its pods do not become ready in time: \(shown)")
            }
            try await Task.sleep(for: Self.lookInterval)
        }
    }

    /// Who wrote the pod template last: a controller that keeps objects as a repository has them undoes what is done here.
    private static func manager(of workload: JSONValue) -> String {
        let fields = workload["metadata"]?["managedFields"]?.array ?? []
        let writers = fields.filter { $0["fieldsV1"]?["f:spec"]?["f:template"] != nil }
        let latest = writers.max { $0["time"]?.string ?? "" < $1["time"]?.string ?? "" }
        return latest?["manager"]?.string ?? "somebody"
    }

    private func reason(_ error: any Error, _ target: Target) async -> any Error {
        guard let refusal = error as? InjectionRefusal else { return error }
        return InjectionRefusal(
            "the traffic-agent could not be put beside \(target.shown), which is as it was: \(refusal)")
    }

    // MARK: Taking out

    /// Undoes it all. Returns whether there was anything.
    @discardableResult
    package func remove(_ target: Target) async throws -> Bool {
        var found = false
        for service in try await services(target) {
            let path = Resource.services.path(namespace: target.namespace, name: Self.name(service))
            try await retrying {
                let before = try await client.get(.services, Self.name(service), namespace: target.namespace)
                guard let after = AgentInjection.undone(service: before, of: target.shown) else { return }
                found = true
                try await write(path, before, after)
            }
        }
        try await retrying {
            let before = try await client.get(target.resource, target.name, namespace: target.namespace)
            guard let after = AgentInjection.undone(workload: before) else { return }
            found = true
            try await write(target.path, before, after)
        }
        if found { try await replacePods(target) { _ in } }
        return found
    }

    /// All workloads that have an agent.
    package func targets(in namespace: String?) async throws -> [Target] {
        var found: [Target] = []
        for resource in [Resource.deployments, .statefulSets, .replicaSets] {
            _ = try await client.list(resource, namespace: namespace) { page in
                for object in page where AgentInjection.hasAgent(object) && Self.isOurs(object) {
                    found.append(
                        Target(
                            resource, namespace: object["metadata"]?["namespace"]?.string ?? "",
                            name: Self.name(object)))
                }
            }
        }
        return found
    }

    /// The ReplicaSets of a Deployment have what it has.
    private static func isOurs(_ object: JSONValue) -> Bool {
        AgentInjection.controller(of: object) == nil
    }

    // MARK: Writing

    private func retrying<Result>(_ body: () async throws -> Result) async throws -> Result {
        for _ in 1..<Self.attempts {
            do {
                return try await body()
            } catch {
                guard let error = error as? KubernetesError, error.kind == .conflict else { throw error }
            }
        }
        return try await body()
    }

    /// Only what is changed here, and only if nobody else has changed the object meanwhile.
    private func write(_ path: String, _ before: JSONValue, _ after: JSONValue) async throws {
        var operations: [JSONValue] = [
            [
                "op": "replace", "path": "/metadata/resourceVersion",
                "value": before["metadata"]?["resourceVersion"] ?? .null,
            ]
        ]
        for place in [["metadata", "annotations"], ["spec", "template"], ["spec", "ports"]] {
            let (old, new) = (before[place[0]]?[place[1]], after[place[0]]?[place[1]])
            guard old != new else { continue }
            let pointer = JSONValue.string("/\(place[0])/\(place[1])")
            if let new {
                operations.append(["op": old == nil ? "add" : "replace", "path": pointer, "value": new])
            } else {
                operations.append(["op": "remove", "path": pointer])
            }
        }
        guard operations.count > 1 else { return }
        try await client.patch(path, .array(operations))
    }
}
