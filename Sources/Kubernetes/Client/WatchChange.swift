/// What a watch tells of one object.
package struct WatchChange: Sendable {
    package enum Kind: String, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
    }

    package var kind: Kind
    package var object: JSONValue

    package init(kind: Kind, object: JSONValue) {
        self.kind = kind
        self.object = object
    }
}
