/// Figures as people read them.
enum HumanUnits {
    /// Two units at most: `3d4h`, `5m12s`.
    static func duration(_ seconds: Int64) -> String {
        let seconds = max(0, seconds)
        let units: [(Int64, String)] = [(86400, "d"), (3600, "h"), (60, "m"), (1, "s")]
        guard let first = units.firstIndex(where: { seconds >= $0.0 }) else { return "0s" }
        var text = "\(seconds / units[first].0)\(units[first].1)"
        if first + 1 < units.count {
            let rest = seconds % units[first].0 / units[first + 1].0
            if rest > 0 { text += "\(rest)\(units[first + 1].1)" }
        }
        return text
    }

    /// Two digits or more, in powers of 1024: `0 B`, `1023 B`, `1.5 MiB`, `12 GiB`.
    static func bytes(_ count: UInt64) -> String {
        guard count >= 1024 else { return "\(count) B" }
        var value = Double(count) / 1024
        var units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][...]
        while value >= 1023.5, units.count > 1 {
            value /= 1024
            units = units.dropFirst()
        }
        let unit = units.first ?? ""
        if value >= 9.95 { return "\(Int(value.rounded())) \(unit)" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(unit)"
    }
}
