/// One line of a watch: first every object there is as `ADDED`, then what changes.
package struct WatchEvent<Object: Codable & Hashable & Sendable>: Codable, Hashable, Sendable {
    package enum Kind: String, Codable, Hashable, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        /// The object is as it was last seen.
        case deleted = "DELETED"
    }

    package var type: Kind
    package var object: Object

    package init(_ type: Kind, _ object: Object) {
        self.type = type
        self.object = object
    }
}
