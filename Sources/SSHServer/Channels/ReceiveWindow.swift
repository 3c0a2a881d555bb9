import NIOCore

/// A channel's receive window, and what its growth is decided on.
struct ReceiveWindow {
    /// As accounted for in its session's sum.
    var size = 0
    /// Bytes taken by the channel's other end since the moment below.
    var delivered = 0
    var countingSince = NIODeadline.now()
}
