/// What the daemon's log holds from now on: the body of `PUT /v1/loglevel`.
package struct DaemonLogLevel: Codable, Hashable, Sendable {
    /// `trace`, `debug`, `info`, `notice`, `warning`, `error` or `critical`.
    package var level: String
    /// After this the level is what it was before; absent: for good.
    package var seconds: Int64?

    package init(level: String, seconds: Int64? = nil) {
        self.level = level
        self.seconds = seconds
    }
}
