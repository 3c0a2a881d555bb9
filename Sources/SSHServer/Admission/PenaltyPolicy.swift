package import NIOCore

/// PerSourcePenalties of sshd_config(5): how long a source address waits after what it did.
package struct PenaltyPolicy: Sendable {
    package enum Offence: String, Sendable {
        /// A violation of the protocol.
        case crash
        /// Failed authentication.
        case authfail
        /// Gone without an attempt to log in.
        case noauth
        case graceExceeded = "grace-exceeded"
    }

    package var isEnabled = true
    package var crash: TimeAmount = .seconds(90)
    package var authfail: TimeAmount = .seconds(5)
    package var noauth: TimeAmount = .seconds(1)
    package var graceExceeded: TimeAmount = .seconds(10)
    /// A source's penalty grows no further.
    package var maximum: TimeAmount = .minutes(10)
    /// A smaller penalty is remembered and not enforced; one that has grown beyond is, to its end.
    package var minimum: TimeAmount = .seconds(15)
    /// Sources remembered for each address family; above it new ones go free, so that a flood of forged sources
    /// cannot lock out anybody else (sshd's `overflow:permissive`).
    package var maximumSources = 65_536

    package init() {}

    func length(of offence: Offence) -> TimeAmount {
        switch offence {
        case .crash: crash
        case .authfail: authfail
        case .noauth: noauth
        case .graceExceeded: graceExceeded
        }
    }
}
