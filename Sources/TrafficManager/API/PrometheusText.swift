/// Metrics as the text exposition format 0.0.4 of Prometheus.
package struct PrometheusText {
    package enum Kind: String {
        case counter, gauge, histogram
    }

    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    package private(set) var text = ""

    package init() {}

    /// One metric without labels.
    package mutating func add(_ name: String, _ kind: Kind, help: String, value: Double) {
        open(name, kind, help: help)
        sample(name, [], value)
    }

    package mutating func add(_ name: String, _ kind: Kind, help: String, value: UInt64) {
        open(name, kind, help: help)
        sample(name, [], "\(value)")
    }

    /// One metric with one label. `known` are the values that are shown even when nothing was counted, so that a rate
    /// over the first event is not lost.
    package mutating func add(
        _ name: String, _ kind: Kind, help: String, label: String, known: [String], values: [String: UInt64]
    ) {
        open(name, kind, help: help)
        var all = values
        for value in known where all[value] == nil { all[value] = 0 }
        for (value, count) in all.sorted(by: { $0.key < $1.key }) {
            sample(name, [(label, value)], "\(count)")
        }
    }

    /// A metric that is always 1, for its labels.
    package mutating func addInfo(_ name: String, help: String, labels: [(String, String)]) {
        open(name, .gauge, help: help)
        sample(name, labels, "1")
    }

    /// A histogram from counts by upper bound (not cumulative); the last bound is infinite.
    package mutating func addHistogram(_ name: String, help: String, bounds: [Double], counts: [UInt64], sum: Double) {
        open(name, .histogram, help: help)
        var total: UInt64 = 0
        for (bound, count) in zip(bounds, counts) {
            total &+= count
            sample("\(name)_bucket", [("le", Self.number(bound))], "\(total)")
        }
        sample("\(name)_sum", [], sum)
        sample("\(name)_count", [], "\(total)")
    }

    private mutating func open(_ name: String, _ kind: Kind, help: String) {
        text += "# HELP \(name) \(Self.escapeHelp(help))\n# TYPE \(name) \(kind.rawValue)\n"
    }

    private mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
        sample(name, labels, Self.number(value))
    }

    private mutating func sample(_ name: String, _ labels: [(String, String)], _ value: String) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0)=\"\(Self.escapeLabel($1))\"" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return "\(Int64(value))" }
        return "\(value)"
    }

    private static func escapeHelp(_ text: String) -> String {
        escape(text, quote: false)
    }

    private static func escapeLabel(_ text: String) -> String {
        escape(text, quote: true)
    }

    private static func escape(_ text: String, quote: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quote: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
