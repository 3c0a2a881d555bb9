package import DNS
package import IPPacket

/// Addresses that stand for others lead there.
package struct TranslatingDialing: TunnelDialing {
    private let translations: [AddressTranslation]
    private let others: any TunnelDialing

    package init(_ translations: [AddressTranslation], others: any TunnelDialing) {
        self.translations = translations
        self.others = others
    }

    package func place(of address: InternetAddress) -> TunnelPlace {
        let isV4 = address.isV4
        let number = isV4 ? UInt128(UInt32(truncatingIfNeeded: address.number)) : address.number
        guard let real = translations.real(number, isIPv4: isV4) else { return others.place(of: address) }
        return others.place(
            of: isV4 ? InternetAddress(v4: UInt32(truncatingIfNeeded: real)) : InternetAddress(v6: real))
    }
}
