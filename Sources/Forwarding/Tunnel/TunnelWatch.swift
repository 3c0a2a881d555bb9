import Glibc
import NIOCore
import NIOPosix

/// Reads the tunnel's device on the event loop while little comes from it.
///
/// States: waiting, while the thread is in charge ⇄ reading → stopped.
final class TunnelWatch: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let thread: TunnelThread
    private var context: ChannelHandlerContext?
    private var isReading = false

    private init(_ thread: TunnelThread) { self.thread = thread }

    /// Begins to wait. Fails where the loop cannot watch such a descriptor: then all is left to the thread.
    static func start(_ thread: TunnelThread, on eventLoop: any EventLoop) -> EventLoopFuture<NIOLoopBound<TunnelWatch>>
    {
        let descriptor = fcntl(thread.descriptor, F_DUPFD_CLOEXEC, 0)
        guard descriptor >= 0 else { return eventLoop.makeFailedFuture(IOError(errnoCode: errno, reason: "dup")) }
        return NIOPipeBootstrap(group: eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: TunnelDevice.maximumRead)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(TunnelWatch(thread))
                }
            }
            .takingOwnershipOfDescriptor(input: descriptor)
            .flatMapThrowing { channel in
                NIOLoopBound(
                    try channel.pipeline.syncOperations.handler(type: TunnelWatch.self), eventLoop: eventLoop)
            }
            .flatMapErrorThrowing { error in
                close(descriptor)
                throw error
            }
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    /// The loop is in charge.
    func resume() {
        guard let context else { return thread.setWatchable(false) }
        isReading = true
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = unwrapInboundIn(data).withUnsafeReadableBytes { thread.receive($0) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if isReading { context.read() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// The thread finds out by itself what has become of the device.
    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        thread.setWatchable(false)
    }

    func stop() { context?.close(promise: nil) }
}
