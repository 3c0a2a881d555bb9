import Crypto
import NIOCore
import NIOPosix

/// An app's connection to a listener under test.
struct TestConnection: Sendable {
    let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>

    static func open(port: Int) async throws -> TestConnection {
        TestConnection(channel: try await bootstrap.connect(host: "127.0.0.1", port: port, channelInitializer: wrap))
    }

    static func open(path: String) async throws -> TestConnection {
        TestConnection(channel: try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: wrap))
    }

    static func open(connected descriptor: CInt) async throws -> TestConnection {
        TestConnection(channel: try await bootstrap.withConnectedSocket(descriptor, channelInitializer: wrap))
    }

    private static var bootstrap: ClientBootstrap {
        ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(10))
            .channelOption(.allowRemoteHalfClosure, value: true)
    }

    private static let wrap: @Sendable (any Channel) -> EventLoopFuture<NIOAsyncChannel<ByteBuffer, ByteBuffer>> = {
        channel in
        channel.eventLoop.makeCompletedFuture {
            try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    /// Sends `count` bytes that nobody can guess, ends its half, and reads until the end: whether the same came back.
    func exchange(_ count: Int, seed: UInt64 = 1) async throws -> Bool {
        try await channel.executeThenClose { inbound, outbound in
            async let sent = {
                var random = Pattern(seed)
                var hash = SHA256()
                var left = count
                while left > 0 {
                    let piece = random.next(min(left, 65_536))
                    piece.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
                    left -= piece.readableBytes
                    try await outbound.write(piece)
                }
                outbound.finish()
                return hash.finalize()
            }()
            var hash = SHA256()
            var received = 0
            for try await piece in inbound {
                piece.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
                received += piece.readableBytes
            }
            return try await sent == hash.finalize() && received == count
        }
    }

    /// Sends `bytes` and reads until the end; throws when the connection breaks.
    func ask(_ bytes: [UInt8], thenEnd: Bool = false) async throws -> [UInt8] {
        try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(bytes: bytes))
            if thenEnd { outbound.finish() }
            var answer: [UInt8] = []
            for try await piece in inbound { answer += piece.readableBytesView }
            return answer
        }
    }

    /// Sends `bytes`, and reads as many.
    func echo(_ bytes: [UInt8]) async throws -> [UInt8] {
        try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(bytes: bytes))
            var answer: [UInt8] = []
            for try await piece in inbound {
                answer += piece.readableBytesView
                if answer.count >= bytes.count { break }
            }
            return answer
        }
    }
}

/// Bytes that repeat only after a long time (xorshift64).
private struct Pattern {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next(_ count: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: (count + 7) & ~7) { space in
            for offset in stride(from: 0, to: count, by: 8) {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                space.storeBytes(of: state, toByteOffset: offset, as: UInt64.self)
            }
            return count
        }
        return buffer
    }
}
