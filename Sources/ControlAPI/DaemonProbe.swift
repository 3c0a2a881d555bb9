/// What the last look at one layer of a session found.
package struct DaemonProbe: Codable, Hashable, Sendable {
    /// From the wire up; each needs those before it.
    package enum Layer: String, Codable, Hashable, Sendable, CaseIterable {
        /// The TCP connection to the manager.
        case transport
        /// A channel is opened and answered.
        case ssh
        /// `/v1/version` at `api.telepresence`.
        case api
        /// A query at `dns.telepresence`.
        case dns
        /// The network helper, which holds what was changed on this machine.
        case helper
        case tun
    }

    package var layer: Layer
    package var isHealthy: Bool
    /// How long ago it was looked at.
    package var ageMilliseconds: Int64
    /// How long the answer took; absent when there was none.
    package var roundTripMicroseconds: Int64?
    /// One line; absent when it is healthy.
    package var error: String?

    package init(
        layer: Layer, isHealthy: Bool, ageMilliseconds: Int64, roundTripMicroseconds: Int64? = nil,
        error: String? = nil
    ) {
        self.layer = layer
        self.isHealthy = isHealthy
        self.ageMilliseconds = ageMilliseconds
        self.roundTripMicroseconds = roundTripMicroseconds
        self.error = error
    }
}
