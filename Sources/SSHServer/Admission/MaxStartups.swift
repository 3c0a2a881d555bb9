/// MaxStartups of sshd_config(5), `start:rate:full`: above `start` connections that are not logged in, new ones are
/// dropped with a probability that grows from `rate` percent to certainty at `full`.
package struct MaxStartups: Hashable, Sendable {
    package var start = 10
    package var rate = 30
    package var full = 100

    package init() {}

    /// `10:30:100`, or one number for a hard limit. `nil` for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        switch (parts.count, parts.first ?? nil) {
        case (1, let count?) where count > 0:
            (start, rate, full) = (count, 100, count)
        case (3, let start?):
            guard let rate = parts[1], let full = parts[2], start > 0, start <= full, (1...100).contains(rate) else {
                return nil
            }
            (self.start, self.rate, self.full) = (start, rate, full)
        default: return nil
        }
    }

    /// Whether a connection is dropped when `waiting` others are not logged in; `draw` is a random number in 0..<100.
    package func drops(waiting: Int, draw: Int) -> Bool {
        if waiting < start { return false }
        if waiting >= full || rate == 100 { return true }
        return draw < rate + (100 - rate) * (waiting - start) / (full - start)
    }
}
