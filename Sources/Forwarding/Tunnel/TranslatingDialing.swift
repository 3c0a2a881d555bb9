package import DNS
package import IPPacket

/// Addresses that stand for others lead there.
package struct TranslatingDialing: TunnelDialing {
    private let shown: ShownAddresses
    private let others: any TunnelDialing

    package init(_ shown: ShownAddresses, others: any TunnelDialing) {
        self.shown = shown
        self.others = others
    }

    package func place(of address: InternetAddress) -> TunnelPlace {
        let isV4 = address.isV4
        let number = isV4 ? UInt128(UInt32(truncatingIfNeeded: address.number)) : address.number
        guard let real = shown.real(number, isIPv4: isV4) else { return others.place(of: address) }
        let address = isV4 ? InternetAddress(v4: UInt32(truncatingIfNeeded: real)) : InternetAddress(v6: real)
        return .cluster(host: address.description)
    }
}
