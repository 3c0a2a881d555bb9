import CLinux
import Glibc
import Logging
import NIOCore
import NIOPosix

/// Calls back when a link, an address or a route of this machine came or went (rtnetlink(7)).
final class NetworkMonitor {
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let onChange: () -> Void
    private var channel: (any Channel)?
    private var isClosed = false

    init(on eventLoop: any EventLoop, logger: Logger, onChange: @escaping () -> Void) {
        self.eventLoop = eventLoop
        self.logger = logger
        self.onChange = onChange
        open()
    }

    private func open() {
        let descriptor = clinux_route_monitor()
        guard descriptor >= 0 else {
            return logger.warning("no news of the network", metadata: ["reason": "\(SystemError.text(-descriptor))"])
        }
        let loop = NIOLoopBound(self, eventLoop: eventLoop)
        NIOPipeBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(loop.value))
                }
            }
            .takingOwnershipOfDescriptor(input: descriptor)
            .assumeIsolated()
            .whenComplete { [weak self] result in
                switch result {
                case .success(let channel):
                    guard let self, !self.isClosed else { return channel.close(promise: nil) }
                    self.channel = channel
                case .failure(let error):
                    Glibc.close(descriptor)
                    self?.logger.warning("no news of the network", metadata: ["reason": "\(error)"])
                }
            }
    }

    func close() {
        isClosed = true
        channel?.close(promise: nil)
        channel = nil
    }

    /// The kernel drops a listener that was too slow (ENOBUFS): what it missed is a change as well.
    private func lost() {
        channel = nil
        guard !isClosed else { return }
        onChange()
        eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [weak self] in
            guard let self, !self.isClosed, self.channel == nil else { return }
            self.open()
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private weak var monitor: NetworkMonitor?

        init(_ monitor: NetworkMonitor) { self.monitor = monitor }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { monitor?.onChange() }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        func channelInactive(context: ChannelHandlerContext) { monitor?.lost() }
    }
}
