import NIOCore

/// A flow's receive window, and whether it is a bulk flow. Pure: bytes and times in, decisions out.
///
/// The window starts at libssh2's default and doubles whenever half of it passes in less than a round trip's time that
/// matters, up to what 1.6 Gbit/s needs at 80 ms. On a short path a large window only makes data wait in memory.
struct FlowMeter {
    static let initialWindow = 2 << 20
    static let maximumWindow = 16 << 20
    /// Below this a window of 2 MiB already carries 400 MB/s or more.
    static let shortRoundTrip = TimeAmount.milliseconds(5)
    /// A flow that moves this much within a second is bulk.
    static let bulkBytesPerSecond = 4 << 20

    private(set) var window = FlowMeter.initialWindow
    /// Read by us since the manager was last told.
    private(set) var owed = 0
    /// Grown windows are topped up here; until then libssh2 does so by itself.
    private(set) var isGrown = false

    private var epochStart: NIODeadline?
    private var epochBytes = 0
    private var secondStart: NIODeadline?
    private var secondBytes = 0
    private(set) var isBulk = false

    init() {}

    /// Counts bytes that came from the manager; the answer is by how much to widen its window now, or 0.
    mutating func received(_ count: Int, now: NIODeadline, roundTrip: TimeAmount) -> Int {
        moved(count, now: now)
        if isGrown { owed += count }
        epochBytes += count
        let start = epochStart ?? now
        epochStart = start
        var growth = 0
        if epochBytes >= window / 2 {
            // A full window a round trip is all that can flow: half of one within a round trip means it is in the way.
            if roundTrip >= Self.shortRoundTrip, now - start < roundTrip + roundTrip, window < Self.maximumWindow {
                let grown = min(window * 2, Self.maximumWindow)
                growth = grown - window
                window = grown
                isGrown = true
            }
            epochStart = now
            epochBytes = 0
        }
        guard isGrown, growth > 0 || owed >= window / 8 else { return 0 }
        defer { owed = 0 }
        return growth + owed
    }

    /// Counts bytes of either direction.
    mutating func moved(_ count: Int, now: NIODeadline) {
        secondBytes += count
        let start = secondStart ?? now
        secondStart = start
        if now - start >= .seconds(1) {
            isBulk = secondBytes >= Self.bulkBytesPerSecond
            secondStart = now
            secondBytes = 0
        } else if secondBytes >= Self.bulkBytesPerSecond {
            isBulk = true
        }
    }

    /// Whether it still counts as bulk at `now`: a flow that fell silent does not.
    func isBulk(at now: NIODeadline) -> Bool {
        isBulk && now - (secondStart ?? now) < .seconds(3)
    }
}
