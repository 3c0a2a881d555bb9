/// A range of the cluster's IPv4 addresses that is shown as another one of the same size, since this machine has a network
/// of its own there.
package struct AddressTranslation: Hashable, Sendable {
    /// First addresses.
    package let real: UInt32
    package let shown: UInt32
    private let mask: UInt32

    package init(real: UInt32, shown: UInt32, length: Int) {
        mask = length == 0 ? 0 : ~UInt32(0) << UInt32(32 - length)
        self.real = real & mask
        self.shown = shown & mask
    }

    package func shown(for address: UInt32) -> UInt32? {
        address & mask == real ? shown | address & ~mask : nil
    }

    package func real(for address: UInt32) -> UInt32? {
        address & mask == shown ? real | address & ~mask : nil
    }
}

extension [AddressTranslation] {
    /// What a message says of addresses, as it is shown; `nil`: nothing of it changes.
    func shown(_ message: Message) -> Message? {
        var message = message
        var isChanged = false
        func show(_ records: inout [ResourceRecord]) {
            for index in records.indices {
                guard case .a(let address) = records[index].data,
                    let shown = lazy.compactMap({ $0.shown(for: address) }).first
                else { continue }
                records[index].data = .a(shown)
                isChanged = true
            }
        }
        show(&message.answers)
        show(&message.additionals)
        return isChanged ? message : nil
    }

    /// The reverse name (RFC 1035 §3.5) of what is shown under `name`, if that is one.
    func real(reverse name: Name) -> Name? {
        let labels = name.labels.map { String(decoding: $0, as: UTF8.self).lowercased() }
        guard labels.count == 6, labels[4] == "in-addr", labels[5] == "arpa" else { return nil }
        var address: UInt32 = 0
        for label in labels[..<4].reversed() {
            guard let byte = UInt8(label) else { return nil }
            address = address << 8 | UInt32(byte)
        }
        guard let real = lazy.compactMap({ $0.real(for: address) }).first else { return nil }
        let bytes = (0..<4).map { String(UInt8(truncatingIfNeeded: real >> (8 * UInt32($0)))) }
        return try? Name((bytes + ["in-addr", "arpa"]).joined(separator: "."))
    }
}
