/// What is meant, by its name.
package struct ItemName: Codable, Hashable, Sendable {
    package var name: String

    package init(name: String) {
        self.name = name
    }
}
