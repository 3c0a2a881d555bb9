/// Amounts of resources as Kubernetes writes them: `128Mi`, `500m`, `2`.
enum Quantity {
    private static let suffixes: [(String, Double)] = [
        ("Ki", 0x1p10), ("Mi", 0x1p20), ("Gi", 0x1p30), ("Ti", 0x1p40), ("Pi", 0x1p50), ("Ei", 0x1p60),
        ("m", 1e-3), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("P", 1e15), ("E", 1e18), ("", 1),
    ]

    static func value(_ text: String) -> Double? {
        for (suffix, factor) in suffixes where text.hasSuffix(suffix) {
            if let number = Double(text.dropLast(suffix.count)) { return number * factor }
        }
        return nil
    }

    /// What a variable with a `resourceFieldRef` has: the container's `limits.memory` in units of the divisor, rounded up.
    static func resource(_ field: JSONValue, of container: JSONValue) -> String? {
        guard let parts = field["resource"]?.string?.split(separator: ".").map(String.init), parts.count == 2,
            let text = amount(container["resources"]?[parts[0]]?[parts[1]]), let amount = value(text)
        else { return nil }
        let divisor = self.amount(field["divisor"]).flatMap(value) ?? 0
        let units = (amount / (divisor > 0 ? divisor : 1)).rounded(.up)
        return units < 0x1p63 ? String(Int64(units)) : nil
    }

    private static func amount(_ value: JSONValue?) -> String? {
        value?.string ?? value?.integer.map { String($0) }
    }
}
