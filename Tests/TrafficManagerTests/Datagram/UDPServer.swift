import NIOCore
import NIOPosix

/// A UDP socket on a free port of loopback that sends everything back, or is deaf.
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

    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
        typealias OutboundOut = AddressedEnvelope<ByteBuffer>

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(data, promise: nil)
        }
    }
}
