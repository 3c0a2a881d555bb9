/// How addresses of the cluster are shown on this machine: ranges as others, or each that a name leads to as one of its own.
package struct ShownAddresses: Hashable, Sendable {
    package var ranges: [AddressTranslation] = []
    /// For all that no range has.
    package var names: NameAddresses?

    package init(ranges: [AddressTranslation] = [], names: NameAddresses? = nil) {
        self.ranges = ranges
        self.names = names
    }

    package var isEmpty: Bool { ranges.isEmpty && names == nil }

    private func shown(_ address: UInt128, isIPv4: Bool) -> UInt128? {
        ranges.lazy.compactMap { $0.isIPv4 == isIPv4 ? $0.shown(for: address) : nil }.first
            ?? names?.shown(for: address, isIPv4: isIPv4)
    }

    package func real(_ address: UInt128, isIPv4: Bool) -> UInt128? {
        ranges.lazy.compactMap { $0.isIPv4 == isIPv4 ? $0.real(for: address) : nil }.first
            ?? names?.real(address, isIPv4: isIPv4)
    }

    /// What a message says of addresses, as it is shown; `nil`: nothing of it changes.
    func shown(_ message: Message) -> Message? {
        var message = message
        var isChanged = false
        func show(_ records: inout [ResourceRecord]) {
            for index in records.indices {
                switch records[index].data {
                case .a(let address):
                    guard let shown = shown(UInt128(address), isIPv4: true) else { continue }
                    records[index].data = .a(UInt32(truncatingIfNeeded: shown))
                case .aaaa(let address):
                    guard let shown = shown(address, isIPv4: false) else { continue }
                    records[index].data = .aaaa(shown)
                default: continue
                }
                isChanged = true
            }
        }
        show(&message.answers)
        show(&message.additionals)
        return isChanged ? message : nil
    }

    /// The reverse name of what is shown under `name`, if that is one (RFC 1035 §3.5, RFC 3596 §2.5).
    func real(reverse name: Name) -> Name? {
        guard !isEmpty else { return nil }
        let labels = name.labels.map { String(decoding: $0, as: UTF8.self).lowercased() }
        guard labels.count == 6 || labels.count == 34, labels.last == "arpa" else { return nil }
        let isIPv4 = labels.count == 6
        guard labels[labels.count - 2] == (isIPv4 ? "in-addr" : "ip6") else { return nil }
        let (bits, radix) = isIPv4 ? (8, 10) : (4, 16)
        var address: UInt128 = 0
        for label in labels.dropLast(2).reversed() {
            guard let part = UInt128(label, radix: radix), part < 1 << UInt128(bits) else { return nil }
            address = address << UInt128(bits) | part
        }
        guard let real = real(address, isIPv4: isIPv4) else { return nil }
        let parts = (0..<labels.count - 2).map { index in
            String(real >> UInt128(bits * index) & (1 << UInt128(bits) - 1), radix: radix)
        }
        return try? Name((parts + labels.suffix(2)).joined(separator: "."))
    }
}
