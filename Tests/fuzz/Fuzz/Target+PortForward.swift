import Kubernetes
import NIOCore

extension Target {
    private struct Outcome: Equatable {
        var data = ByteBuffer()
        var others: [SPDYConnection.Effect] = []
    }

    /// What comes of the bytes in chunks, wherever the data are cut.
    private static func outcome(of bytes: [UInt8], chunk: Int) -> Outcome {
        var connection = SPDYConnection(port: 80)
        _ = connection.open()
        var outcome = Outcome()
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            var buffer = ByteBuffer(bytes: bytes[start..<min(start + chunk, bytes.count)])
            while let effect = connection.receive(&buffer) {
                if case .received(let part) = effect {
                    outcome.data.writeImmutableBuffer(part)
                } else {
                    outcome.others.append(effect)
                }
            }
        }
        if let effect = connection.end() { outcome.others.append(effect) }
        return outcome
    }

    static let portForward: [Target] = [
        Target(name: "spdy") {
            // Replies to both streams, data, a ping, an error and both ends.
            [
                [
                    0x80, 3, 0, 2, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 3, 0, 2, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0,
                    0,
                    0, 0, 0, 3, 0, 0, 0, 3, 1, 2, 3, 0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 2, 0x80, 3, 0, 7, 0, 0, 0, 8,
                    0,
                    0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x65, 0, 0, 0, 3, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0,
                ]
            ]
        } run: { bytes in
            precondition(
                outcome(of: bytes, chunk: 5) == outcome(of: bytes, chunk: max(bytes.count, 1)),
                "it matters where the bytes are cut")
        }
    ]
}
