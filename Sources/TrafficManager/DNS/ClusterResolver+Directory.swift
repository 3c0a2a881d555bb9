import DNS
import NIOCore

/// What is passed on, and what the directory says instead.
extension ClusterResolver {
    private static let noError = UInt8(truncatingIfNeeded: ResponseCode.noError.rawValue)
    private static let serverFailure = UInt8(truncatingIfNeeded: ResponseCode.serverFailure.rawValue)
    private static let refused = UInt8(truncatingIfNeeded: ResponseCode.refused.rawValue)

    /// Whether a query is asked of the server, and not only of the directory.
    func isFor(_ query: ByteBuffer, _ snapshot: DirectorySnapshot) -> Bool {
        guard let message = try? RawMessage(query), !message.header.isResponse, message.header.opcode == .query,
            message.questionCount == 1, let question = try? message.question(),
            question.recordClass == .internet, question.type != .axfr, question.type != .ixfr
        else { return false }
        return scope == .all || ClusterZone(snapshot: snapshot).isOutside(question.name)
    }

    /// The server's answer; the directory's, where the server does not know a name that the directory has, or says nothing.
    func answer(_ query: ByteBuffer, _ directory: Directory) -> EventLoopFuture<ByteBuffer?> {
        @Sendable func own() -> ByteBuffer? { ClusterDNS.answer(query: query, snapshot: directory.snapshot) }
        return ask(query).map { answer -> ByteBuffer? in
            guard let message = try? RawMessage(answer), message.header.responseCode != Self.noError else {
                return answer
            }
            // A pod that is not given the cluster's server, or a server that is behind.
            guard let known = own(), let told = try? RawMessage(known), told.answerCount > 0 else { return answer }
            return known
        }.flatMapErrorThrowing { _ in
            guard let known = own(), var message = try? RawMessage(known) else { return nil }
            if message.header.responseCode == Self.refused { message.header.responseCode = Self.serverFailure }
            return message.bytes
        }
    }
}
