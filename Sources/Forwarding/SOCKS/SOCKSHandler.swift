import NIOCore
import SSHClient

/// A connection that says in SOCKS, or HTTP, where it leads: learns where to, asks for the channel, answers, and leaves.
/// One that asks for a relay of datagrams instead stays as long as that.
final class SOCKSHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long a client may take to say what it wants.
    private static let requestTimeout = TimeAmount.seconds(30)
    /// A greeting and a request together are under 600 bytes; what follows belongs to the connection.
    private static let maximumInput = 65_536 * 2

    /// Makes the connection that was asked for, and joins it to the channel it is given.
    typealias Opener = (ChannelTarget, any Channel, @escaping (Result<Void, SSHClientError>) -> Void) -> Void

    private let opener: Opener
    private let datagrams: SOCKSDatagrams?
    private var machine: ProxyMachine
    private var input = ByteBuffer()
    private var isOpening = false
    private var isAssociated = false
    private var ended = false
    private var deadline: Scheduled<Void>?

    /// Relays of datagrams are offered where there is something that carries them.
    init(offering offer: ProxyMachine.Offer = [], datagrams: SOCKSDatagrams? = nil, opener: @escaping Opener) {
        self.opener = opener
        self.datagrams = datagrams
        machine = ProxyMachine(offering: datagrams == nil ? offer.subtracting(.datagrams) : offer)
    }

    func channelActive(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: Self.requestTimeout) {
            context.close(promise: nil)
        }
        context.read()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Nothing is said on the connection of a relay.
        if isAssociated { return }
        var bytes = unwrapInboundIn(data)
        input.writeBuffer(&bytes)
        // Once it waits for its channel, only what came before the end of its half is read (see SSHClientPool.open).
        guard isOpening || input.readableBytes <= Self.maximumInput else { return context.close(promise: nil) }
        step(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !isOpening || isAssociated { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        // A client may end its half once it has asked; before that there is nobody to serve.
        ended = true
        if !isOpening || isAssociated { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    private func step(_ context: ChannelHandlerContext) {
        while !isOpening, let effect = machine.receive(&input) {
            switch effect {
            case .send(let bytes):
                context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            case .connect(let request):
                isOpening = true
                deadline?.cancel()
                open(request, context)
            case .associate(let request):
                isOpening = true
                deadline?.cancel()
                associate(request, context)
            case .refuse(let bytes):
                return refuse(context, bytes)
            case .close:
                return context.close(promise: nil)
            }
        }
    }

    private func open(_ request: SOCKSRequest, _ context: ChannelHandlerContext) {
        let target = ChannelTarget.tcp(host: request.host, port: request.port)
        let channel = context.channel
        opener(target, channel) { result in
            switch result {
            case .success:
                let (reply, ahead) = self.machine.succeed()
                if reply.readableBytes > 0 { context.writeAndFlush(self.wrapOutboundOut(reply), promise: nil) }
                if ahead.readableBytes > 0 { context.fireChannelRead(NIOAny(ahead)) }
                if self.input.readableBytes > 0 {
                    context.fireChannelRead(NIOAny(self.input))
                    self.input = ByteBuffer()
                }
                if self.ended { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
                context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
            case .failure(let error):
                self.refuse(context, self.machine.fail(SOCKSFailure(error)))
            }
        }
    }

    private func associate(_ request: SOCKSRequest, _ context: ChannelHandlerContext) {
        guard let datagrams else { return refuse(context, machine.fail(.commandNotSupported)) }
        SOCKSAssociation.make(for: context.channel, request, datagrams: datagrams) { address in
            guard let address else { return self.refuse(context, self.machine.fail(.generalFailure)) }
            self.isAssociated = true
            self.input = ByteBuffer()
            context.writeAndFlush(self.wrapOutboundOut(self.machine.succeed(boundTo: address).reply), promise: nil)
            if self.ended { context.close(promise: nil) } else { context.read() }
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ bytes: ByteBuffer) {
        isOpening = true
        context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }
}
