/// One channel (RFC 4254 §5): its windows, and how far each direction and the closing have come.
///
/// The directions are independent, as OpenSSH's `nchan.c` has them:
///
/// * input (peer to us): open → EOF received
/// * output (us to peer): open → EOF sent
///
/// A channel ends when CLOSE has gone both ways, whatever the directions did. Until then its number is taken.
struct ChannelMachine {
    enum Opening {
        /// The peer asked; the owner has not answered.
        case byPeer
        /// We asked; the peer has not answered.
        case byUs
        case done
    }

    let generation: UInt32
    var opening: Opening
    /// The peer's number for the channel, once known.
    var peerNumber: UInt32 = 0
    /// Bytes the peer still lets us send.
    var sendWindow: UInt32 = 0
    /// Bytes of data in one message to the peer.
    var maximumPacket: UInt32 = 0
    /// Bytes we still let the peer send.
    var receiveWindow: UInt32 = 0
    /// What the receive window is opened to when its bytes have been consumed.
    var windowSize: UInt32 = 0
    /// Bytes that were consumed and not given back yet.
    var consumed: UInt32 = 0
    /// Bytes that the peer has sent beyond its window since it last kept to it.
    var overrun = 0
    var eofReceived = false
    var eofSent = false
    var closeReceived = false
    var closeSent = false

    var isOpen: Bool { opening == .done && !closeSent && !closeReceived }
    var maySend: Bool { isOpen && !eofSent }

    init(generation: UInt32, opening: Opening) {
        self.generation = generation
        self.opening = opening
    }

    /// Takes `count` bytes of the peer off its window. A peer may go over by a tenth in all, as OpenSSH lets it.
    mutating func receive(_ count: Int) throws(Disconnect) {
        guard count > Int(receiveWindow) else {
            receiveWindow -= UInt32(count)
            if count > 0 { overrun = 0 }
            return
        }
        overrun += count - Int(receiveWindow)
        receiveWindow = 0
        guard overrun <= Int(windowSize / 10) else { throw .violation("channel data exceeds the window") }
    }

    /// Gives back `count` bytes; returns what to announce to the peer now, or `nil` while that is not worth a message.
    mutating func consume(_ count: Int) -> UInt32? {
        consumed &+= UInt32(truncatingIfNeeded: count)
        guard isOpen, !eofReceived else { return nil }
        // Early enough that the peer never waits, late enough that small reads do not each cost a message.
        guard consumed >= windowSize / 4 || receiveWindow < windowSize / 2 else { return nil }
        let room = windowSize > receiveWindow ? windowSize - receiveWindow : 0
        guard room > 0 else { return nil }
        let adjustment = min(consumed, room)
        receiveWindow += adjustment
        consumed = 0
        return adjustment
    }

    /// The peer opened our window.
    mutating func adjust(by count: UInt32) throws(Disconnect) {
        let (sum, overflow) = sendWindow.addingReportingOverflow(count)
        guard !overflow else { throw .violation("window adjust beyond 2^32 - 1") }
        sendWindow = sum
    }
}
