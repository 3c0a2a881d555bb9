/// A range of the cluster's addresses that is shown as another one of the same size, since this machine has a network of
/// its own there.
package struct AddressTranslation: Hashable, Sendable {
    /// First addresses.
    package let real: UInt128
    package let shown: UInt128
    package let isIPv4: Bool
    private let mask: UInt128

    package init(real: UInt128, shown: UInt128, length: Int, isIPv4: Bool) {
        self.isIPv4 = isIPv4
        let kept = length + (isIPv4 ? 96 : 0)
        mask = kept == 0 ? 0 : ~UInt128(0) << UInt128(128 - kept)
        self.real = real & mask
        self.shown = shown & mask
    }

    package func shown(for address: UInt128) -> UInt128? {
        address & mask == real ? shown | address & ~mask : nil
    }

    package func real(for address: UInt128) -> UInt128? {
        address & mask == shown ? real | address & ~mask : nil
    }
}
