/// A CIDR range, or one address (addrmatch.c, addr_pton_cidr).
struct AddressRange: Hashable, Sendable {
    let base: IPAddress
    let prefixLength: Int

    enum Parsed: Sendable {
        case range(AddressRange)
        /// The mask is too long for the address, or the address has bits beyond the mask.
        case inconsistent
        case notAnAddress
    }

    static func parse(_ text: String) -> Parsed {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let base = IPAddress(Substring(first)) else { return .notAnAddress }
        let width = base.bytes.count * 8
        guard parts.count == 2 else { return .range(AddressRange(base: base, prefixLength: width)) }
        guard (1...3).contains(parts[1].count), parts[1].allSatisfy({ (0x30...0x39).contains($0) }),
            let length = Int(String(decoding: parts[1], as: UTF8.self)), length <= 128
        else { return .notAnAddress }
        let range = AddressRange(base: base, prefixLength: length)
        guard length <= width, range.masked(base) == base.bytes else { return .inconsistent }
        return .range(range)
    }

    func contains(_ address: IPAddress) -> Bool {
        address.bytes.count == base.bytes.count && masked(address) == base.bytes
    }

    private func masked(_ address: IPAddress) -> [UInt8] {
        address.bytes.enumerated().map { index, byte in
            let kept = min(8, max(0, prefixLength - index * 8))
            return kept == 0 ? 0 : byte & UInt8(truncatingIfNeeded: 0xff << (8 - kept))
        }
    }
}
