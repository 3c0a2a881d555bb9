/// The times of the stub, in nanoseconds.
package struct StubTiming: Sendable {
    /// A server that has not answered is joined by the next one: what a query over a mobile network takes, and well below
    /// the second in which public names are to be answered.
    package var serverPatience: UInt64 = 400_000_000
    /// Nobody waits longer: glibc, musl and Go ask again after 5 s (resolv.conf(5), `timeout`).
    package var deadline: UInt64 = 4_500_000_000
    /// How long a query waits for a way to the cluster. A reconnect is often faster.
    package var clusterPatience: UInt64 = 1_000_000_000

    package init() {}
}
