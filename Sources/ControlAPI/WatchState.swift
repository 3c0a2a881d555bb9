/// What one watcher has been told, and so what to tell it next.
///
/// There is no queue: a slow reader is told the difference between what it knows and what is, whenever it is ready.
/// So a watcher costs one copy of the list, however fast the list changes.
package struct WatchState<Object: Codable & Hashable & Sendable, ID: Hashable & Comparable> {
    private var known: [ID: Object] = [:]
    private var last: [Object] = []
    private let id: (Object) -> ID
    private let differs: (Object, Object) -> Bool

    /// `differs` tells whether a change is worth a line; counters that always move are not.
    package init(id: @escaping (Object) -> ID, differs: @escaping (Object, Object) -> Bool = { $0 != $1 }) {
        self.id = id
        self.differs = differs
    }

    /// The lines that lead from what was told so far to `objects`: first what went, then what came or changed, by id.
    package mutating func update(to objects: [Object]) -> [WatchEvent<Object>] {
        // Cheap for a list that is the very same, as most are.
        guard objects != last else { return [] }
        last = objects
        var next: [ID: Object] = [:]
        next.reserveCapacity(objects.count)
        for object in objects { next[id(object)] = object }

        var events: [WatchEvent<Object>] = []
        for (id, object) in known.sorted(by: { $0.key < $1.key }) where next[id] == nil {
            events.append(WatchEvent(.deleted, object))
        }
        for (id, object) in next.sorted(by: { $0.key < $1.key }) {
            if let before = known[id] {
                if differs(before, object) {
                    events.append(WatchEvent(.modified, object))
                } else {
                    next[id] = before
                }
            } else {
                events.append(WatchEvent(.added, object))
            }
        }
        known = next
        return events
    }
}
