package import NIOCore
import SSHClient

/// Half of a pair that joins two sockets of the workstation on one event loop.
///
/// Each half reads only while the other takes bytes; EOF passes in either direction on its own, an error ends both.
package final class RelayHandler: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private var context: ChannelHandlerContext?
    private weak var partner: RelayHandler?
    private var inputEnded = false
    private var outputEnded = false
    private var hasFailed = false

    package static func join(_ first: any Channel, _ second: any Channel) throws {
        let (one, other) = (RelayHandler(), RelayHandler())
        one.partner = other
        other.partner = one
        for (channel, handler) in [(first, one), (second, other)] {
            try channel.pipeline.syncOperations.addHandler(handler)
        }
        first.read()
        second.read()
    }

    package func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    package func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        partner?.write(unwrapInboundIn(data))
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        guard let partner, !inputEnded else { return }
        partner.context?.flush()
        if partner.isWritable { context.read() }
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        partner?.resume()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            inputEnded = true
            partner?.end()
            closeIfDone()
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        hasFailed = true
        partner?.abort()
        context.close(promise: nil)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        let partner = partner
        self.partner = nil
        if inputEnded {
            partner?.closeIfDone()
        } else if outputEnded, !hasFailed {
            // Once its output is shut, the peer's end comes as this alone: NIO closes what has ended both ways.
            partner?.end()
        } else {
            partner?.abort()
        }
        context.fireChannelInactive()
    }

    private var isWritable: Bool { context?.channel.isWritable ?? false }

    private func write(_ bytes: ByteBuffer) { context?.write(wrapOutboundOut(bytes), promise: nil) }

    private func resume() {
        if !inputEnded { context?.read() }
    }

    private func end() {
        guard !outputEnded, let context else { return }
        outputEnded = true
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            if self.inputEnded { context.close(promise: nil) } else { context.close(mode: .output, promise: nil) }
        }
    }

    private func closeIfDone() {
        guard inputEnded, outputEnded, let context else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }

    private func abort() {
        partner = nil
        if let context { AbortiveClose.close(context.channel) }
    }
}
