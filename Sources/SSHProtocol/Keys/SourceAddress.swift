/// Where a client connects from, as its address alone: names are never looked up.
package struct SourceAddress: Hashable, Sendable {
    /// As given, without a zone; an IPv4 address mapped into IPv6 is the IPv4 address.
    package let text: String
    let address: IPAddress?

    /// A text that is no address matches no rule but a wildcard.
    package init(_ ip: String) {
        let bare = ip.utf8.firstIndex(of: UInt8(ascii: "%")).map { String(ip[..<$0]) } ?? ip
        if let address = IPAddress(bare)?.unmapped {
            self.address = address
            text = address.isV4 ? address.description : bare.lowercased()
        } else {
            address = nil
            text = bare
        }
    }

    /// How a `from=` list takes this address (match.c, match_host_and_ip).
    /// - Returns: `nil` when the list is malformed, which must refuse.
    func matches(patternList: String) -> Pattern.ListMatch? {
        var result = Pattern.ListMatch.notMatched
        for element in patternList.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            let isNegated = element.first == UInt8(ascii: "!")
            let pattern = String(Substring(element.dropFirst(isNegated ? 1 : 0)))
            guard !pattern.isEmpty else { return nil }
            let isMatch: Bool
            switch AddressRange.parse(pattern) {
            case .range(let range): isMatch = address.map(range.contains) ?? false
            case .inconsistent: return nil
            case .notAnAddress:
                // sshd reads further spellings of an address than we do, 10.1 or 010.0.0.1: with a `!` before it, taking
                // one for a name would let in whom it keeps out.
                guard !Self.looksLikeAddress(pattern) else { return nil }
                isMatch = Pattern.matches(Array(text.utf8).lowercased, Array(pattern.utf8).lowercased)
            }
            if isMatch {
                // A list that is malformed further on is still answered: this element alone refuses.
                if isNegated { return .negated }
                result = .matched
            }
        }
        return result
    }

    private static func looksLikeAddress(_ pattern: String) -> Bool {
        pattern.utf8.contains(UInt8(ascii: "/"))
            || pattern.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
    }

    /// Whether a certificate's `source-address` lists this address: addresses and CIDR ranges only.
    /// - Returns: `nil` when the list is malformed, which must refuse.
    func isListed(inRanges list: String) -> Bool? {
        var isListed = false
        for element in list.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            guard case .range(let range) = AddressRange.parse(String(Substring(element))) else { return nil }
            if let address, range.contains(address) { isListed = true }
        }
        return isListed
    }
}
