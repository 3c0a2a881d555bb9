/// A host name as somebody asks for it, in lower-case labels.
struct HostName {
    var labels: [String]
    /// It ended in a dot: the search list does not apply.
    var isAbsolute: Bool

    /// RFC 1035 §2.3.4, as text.
    private static let maximumLength = 253

    init?(_ text: String) {
        var text = text[...]
        isAbsolute = text.hasSuffix(".")
        if isAbsolute { text.removeLast() }
        guard !text.isEmpty, text.utf8.count <= HostName.maximumLength, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return nil }
        labels = text.split(separator: ".", omittingEmptySubsequences: false).map { $0.lowercased() }
        guard !labels.contains(where: { $0.isEmpty || $0.utf8.count > 63 }) else { return nil }
    }
}
