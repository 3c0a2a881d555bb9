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
        guard address.isV4 else { return others.place(of: address) }
        let number = UInt32(truncatingIfNeeded: address.number)
        let real = translations.lazy.compactMap { $0.real(for: number) }.first
        return others.place(of: real.map { InternetAddress(v4: $0) } ?? address)
    }
}
