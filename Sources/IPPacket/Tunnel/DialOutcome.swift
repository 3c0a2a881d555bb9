/// What became of a dialed destination, as far as the app can be told.
package enum DialOutcome: Hashable, Sendable {
    case connected
    /// Nobody listens there: RST.
    case refused
    case failed(ICMPError)
    /// Nobody knows: the app goes on waiting, as it would on the spot.
    case timedOut
}
