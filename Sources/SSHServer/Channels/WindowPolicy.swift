import NIOCore

/// How much a client may send ahead on a channel.
///
/// A window only limits what is in flight: with a target that reads, its bytes pass through and nothing is held. So it
/// starts at OpenSSH's size and grows while bandwidth times delay fills it, as long as the windows of the session
/// together stay in bounds; what targets that stop reading may hold is bounded apart, by `memoryPerSession`.
enum WindowPolicy {
    /// 64 MiB is a gigabyte a second at 64 ms, or 5 Gbit/s at 100 ms.
    static let maximumWindow: UInt32 = 64 << 20
    /// The windows of one session together. Each new channel gets the whole initial window below the first bound.
    static let sessionWindows = 256 << 20
    /// What a channel starts with in a session that has very many.
    static let smallWindow: UInt32 = 128 << 10

    static func initialWindow(_ preferred: UInt32, advertised: Int) -> UInt32 {
        advertised + Int(preferred) <= sessionWindows ? preferred : min(preferred, smallWindow)
    }

    /// The next size of a window of which half was used up in `elapsed`, or `nil` to leave it.
    ///
    /// A sender that is held back by its window sends one window each round trip, so half of one in about half a round
    /// trip; one that needs much longer has no use for more.
    static func grown(
        _ size: UInt32, elapsed: TimeAmount, roundTrip: TimeAmount, advertised: Int
    ) -> UInt32? {
        guard size < maximumWindow, elapsed < roundTrip * 2 else { return nil }
        let next = min(maximumWindow, size * 2)
        return advertised + Int(next - size) <= 2 * sessionWindows ? next : nil
    }
}
