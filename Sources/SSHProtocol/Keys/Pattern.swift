/// The patterns of ssh_config(5), PATTERNS.
enum Pattern {
    /// How a list of patterns took a string.
    enum ListMatch: Sendable {
        case matched
        case notMatched
        /// An element with `!` matched: that outweighs every other.
        case negated
    }

    /// `*` stands for any bytes, `?` for one; everything else for itself. Time is at most the product of the lengths.
    static func matches(_ string: some Collection<UInt8>, _ pattern: some Collection<UInt8>) -> Bool {
        let string = Array(string)
        let pattern = Array(pattern)
        var position = 0
        var next = 0
        // Where to go back to: the pattern after the last star, and the first byte that star has not yet swallowed.
        var star: (next: Int, position: Int)?
        while position < string.count {
            if next < pattern.count, pattern[next] == UInt8(ascii: "*") {
                next += 1
                star = (next, position)
            } else if next < pattern.count, pattern[next] == UInt8(ascii: "?") || pattern[next] == string[position] {
                next += 1
                position += 1
            } else if let last = star {
                star = (last.next, last.position + 1)
                next = last.next
                position = last.position + 1
            } else {
                return false
            }
        }
        return pattern[next...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// A comma-separated list; both sides are compared in lower case.
    static func matchesList(_ string: String, _ list: String) -> ListMatch {
        let name = Array(string.utf8).lowercased
        var result = ListMatch.notMatched
        for element in list.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            let isNegated = element.first == UInt8(ascii: "!")
            if matches(name, Array(element.dropFirst(isNegated ? 1 : 0)).lowercased) {
                if isNegated { return .negated }
                result = .matched
            }
        }
        return result
    }
}

extension [UInt8] {
    /// ASCII letters in lower case.
    var lowercased: [UInt8] { map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 } }
}
