import ControlAPI
import NIOCore
import NIOPosix

/// Either end of the sockets between a daemon and whoever starts it: settings one way, reports the other, as lines of JSON.
///
/// Confined to its event loop.
final class LaunchLink {
    /// Settings with long lists of suffixes and routes are some kilobytes.
    private static let maximumLine = 1 << 20

    private let channel: any Channel

    private init(channel: any Channel) { self.channel = channel }

    /// Takes the descriptor; calls `onLine` for every line, and `onEnd` once when the other end is gone.
    static func open(
        _ descriptor: CInt, on eventLoop: any EventLoop, onLine: @escaping (String) -> Void,
        onEnd: @escaping () -> Void, completion: @escaping (Result<LaunchLink, any Error>) -> Void
    ) {
        let handler = NIOLoopBound(Handler(onLine: onLine, onEnd: onEnd), eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(handler.value)
                }
            }
            .withConnectedSocket(descriptor)
            .assumeIsolated()
            .whenComplete { completion($0.map(LaunchLink.init)) }
    }

    func send(_ value: some Encodable) {
        guard let line = try? JSON.encode(value) else { return }
        channel.writeAndFlush(ByteBuffer(string: line + "\n"), promise: nil)
    }

    /// After what was sent has left.
    func close() {
        channel.writeAndFlush(ByteBuffer()).assumeIsolated().whenComplete { [channel] _ in channel.close(promise: nil) }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let onLine: (String) -> Void
        private var onEnd: (() -> Void)?
        private var input = ByteBuffer()

        init(onLine: @escaping (String) -> Void, onEnd: @escaping () -> Void) {
            self.onLine = onLine
            self.onEnd = onEnd
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            input.writeBuffer(&bytes)
            while let end = input.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
                let line = input.readString(length: end - input.readerIndex) ?? ""
                input.moveReaderIndex(forwardBy: 1)
                onLine(line)
            }
            if input.readableBytes > LaunchLink.maximumLine { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        func channelInactive(context: ChannelHandlerContext) {
            let onEnd = onEnd
            self.onEnd = nil
            onEnd?()
        }
    }
}
