import NIOCore
import NIOPosix

/// A UDP socket on a free port of loopback that sends everything back.
struct UDPServer: Sendable {
    let channel: any Channel

    var port: UInt16 { UInt16(channel.localAddress?.port ?? 0) }

    static func run<R>(host: String = "127.0.0.1", _ body: (UDPServer) async throws -> R) async throws -> R {
        let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_536))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Echo())
                }
            }
            .bind(host: host, port: 0).get()
        do {
            let result = try await body(UDPServer(channel: channel))
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }

    /// A port that refuses datagrams: it is somebody's, who takes those of another port alone.
    static func refuse<R>(_ body: (UInt16) async throws -> R) async throws -> R {
        let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: 1).get()
        do {
            let result = try await body(UDPServer(channel: channel).port)
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }

    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        typealias OutboundOut = AddressedEnvelope<ByteBuffer>

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(data, promise: nil)
        }
    }
}
