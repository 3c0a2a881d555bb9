/// Names a channel of one connection. The number goes to the peer; the generation tells a new channel from an old one
/// that had the same number.
package struct ChannelID: Hashable, Sendable, CustomStringConvertible {
    package let number: UInt32
    let generation: UInt32

    package var index: Int { Int(number) }
    package var description: String { "\(number)" }
}
