import Kubernetes

/// What differs between two snapshots, as names of services.
struct DirectoryChange: Hashable {
    var added: [String] = []
    var removed: [String] = []
    /// With what changed: `default/hello (endpoints 2 → 3)`.
    var changed: [String] = []

    /// A line of a log names this many of each.
    static let maximumNames = 20

    init(from old: DirectorySnapshot, to new: DirectorySnapshot) {
        for service in new.services {
            guard let before = old.service(service.name, namespace: service.namespace) else {
                added.append(service.qualifiedName)
                continue
            }
            let differences = DirectoryChange.differences(before, service)
            if !differences.isEmpty {
                changed.append("\(service.qualifiedName) (\(differences.joined(separator: ", ")))")
            }
        }
        removed = old.services.filter { new.service($0.name, namespace: $0.namespace) == nil }.map(\.qualifiedName)
    }

    var isEmpty: Bool { added.isEmpty && removed.isEmpty && changed.isEmpty }

    static func shown(_ names: [String]) -> String {
        let more = names.count - maximumNames
        return names.prefix(maximumNames).joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    }

    private static func differences(_ old: DirectoryService, _ new: DirectoryService) -> [String] {
        var differences: [String] = []
        // Where an object stands in its file is no property of it.
        var (before, after) = (old.service, new.service)
        before.metadata.source = nil
        after.metadata.source = nil
        if before != after { differences.append("service") }
        if old.endpoints != new.endpoints {
            let (was, now) = (old.ready.count, new.ready.count)
            differences.append(was == now ? "endpoints" : "ready endpoints \(was) → \(now)")
        }
        return differences
    }
}
