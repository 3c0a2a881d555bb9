/// What the stub has done since it began.
package struct StubStatistics: Hashable, Sendable {
    package var queries: UInt64 = 0
    /// Answered from the cache.
    package var hits: UInt64 = 0
    /// Answered with SERVFAIL.
    package var failures: UInt64 = 0

    package init() {}
}
