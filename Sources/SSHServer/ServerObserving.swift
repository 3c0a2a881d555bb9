/// What may be read of a running server from any thread: by the API, the built-in commands and the metrics.
package protocol ServerObserving: Sendable {
    /// The sessions that have authenticated, by id.
    func sessions() async -> [SessionSnapshot]
    func statistics() -> ServerStatistics
}
