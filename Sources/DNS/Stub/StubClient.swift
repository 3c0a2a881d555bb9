/// Whoever asked the stub, in its owner's terms: a socket's address, or the number of a stream.
package struct StubClient: Hashable, Sendable {
    /// Room for the largest address of a socket.
    package static let tokenLength = 32

    package var token: SIMD4<UInt64>
    /// Answers of any length, each behind its length; otherwise datagrams.
    package var isStream: Bool

    package init(token: SIMD4<UInt64>, isStream: Bool) {
        self.token = token
        self.isStream = isStream
    }
}
