/// What a list answers: `{"items": […]}`, which leaves room for more beside the items.
package struct ItemList<Item: Codable & Hashable & Sendable>: Codable, Hashable, Sendable {
    package var items: [Item]

    package init(_ items: [Item]) {
        self.items = items
    }
}
