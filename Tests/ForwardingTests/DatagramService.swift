import NIOCore
import NIOPosix
import SSHProtocol

/// What the manager's datagram service is to its clients: it sends datagrams and echoes back, after what names say.
///
/// A flow to `refused` gets an error, one to `short` ends after its first datagram.
struct DatagramService: Sendable {
    let channel: any Channel
    /// Every frame that came.
    let frames: AsyncStream<DatagramFrame>

    var port: Int { channel.localAddress?.port ?? 0 }

    static func start() async throws -> DatagramService {
        let (frames, sink) = AsyncStream.makeStream(of: DatagramFrame.self)
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramServiceHandler(sink))
                }
            }
        return DatagramService(channel: try await bootstrap.bind(host: "127.0.0.1", port: 0).get(), frames: frames)
    }
}

private final class DatagramServiceHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let sink: AsyncStream<DatagramFrame>.Continuation
    private var input = ByteBuffer()
    private var hosts: [UInt32: String] = [:]

    init(_ sink: AsyncStream<DatagramFrame>.Continuation) { self.sink = sink }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        input.writeImmutableBuffer(unwrapInboundIn(data))
        var output = ByteBuffer()
        while let frame = try? DatagramFrame.read(from: &input, sentBy: .client) {
            sink.yield(frame)
            switch frame {
            case .open(let flow, let host, _): hosts[flow] = host
            case .data(let flow, let bytes):
                switch hosts[flow] {
                case "refused"?:
                    DatagramFrame.error(flow: flow, reason: 1, text: "Connection refused").write(into: &output)
                case "short"?:
                    hosts[flow] = nil
                    DatagramFrame.data(flow: flow, bytes).write(into: &output)
                    DatagramFrame.close(flow: flow).write(into: &output)
                case "end"?:
                    context.close(promise: nil)
                case nil: break
                default: DatagramFrame.data(flow: flow, bytes).write(into: &output)
                }
            case .close(let flow): hosts[flow] = nil
            case .echo(let flow, _, let identifier, let sequence, let payload):
                DatagramFrame.echoReply(flow: flow, identifier: identifier, sequence: sequence, payload: payload)
                    .write(into: &output)
            case .error, .echoReply: break
            }
        }
        context.writeAndFlush(wrapOutboundOut(output), promise: nil)
    }
}
