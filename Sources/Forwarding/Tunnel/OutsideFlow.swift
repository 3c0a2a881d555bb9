import Glibc
import IPPacket
import NIOCore
import NIOPosix

/// One UDP flow, or the echoes of one `ping`, out of a socket of this machine's own network. Confined to its event loop.
///
/// States: connecting → open → closed.
final class OutsideFlow: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = ByteBuffer

    enum Kind: Hashable {
        case udp
        /// The app's identifier: the kernel gives a ping socket one of its own.
        case echo(UInt16)
    }

    private enum State {
        /// Datagrams wait; connecting takes a turn of the loop.
        case connecting(CircularBuffer<ByteBuffer>)
        case open(any Channel)
        /// With what those are told that go on asking.
        case closed(ICMPError?)
    }

    private static let maximumWaiting = 16
    /// The largest datagram there is.
    private static let receiveSize = 65_536
    private static let icmpHeaderLength = 8

    private let id: DatagramFlowID
    private let kind: Kind
    private let isV4: Bool
    private let exchange: TunnelExchange
    private var state = State.connecting([])

    init(
        _ id: DatagramFlowID, _ kind: Kind, to address: InternetAddress, port: UInt16, on eventLoop: any EventLoop,
        exchange: TunnelExchange
    ) {
        self.id = id
        self.kind = kind
        self.exchange = exchange
        isV4 = address.isV4
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        var bootstrap = DatagramBootstrap(group: eventLoop)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.receiveSize))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
            }
        if kind != .udp {
            let icmp = isV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6
            bootstrap = bootstrap.protocolSubtype(NIOBSDSocket.ProtocolSubtype(rawValue: CInt(icmp)))
        }
        do {
            let target = try SocketAddress(ipAddress: address.description, port: Int(port))
            bootstrap.connect(to: target).assumeIsolated().whenComplete { self.connected($0) }
        } catch {
            fail(error)
        }
    }

    private func connected(_ result: Result<any Channel, any Error>) {
        switch result {
        case .failure(let error):
            fail(error)
        case .success(let channel):
            guard case .connecting(let waiting) = state else { return channel.close(promise: nil) }
            state = .open(channel)
            for bytes in waiting { channel.write(bytes, promise: nil) }
            channel.flush()
        }
    }

    func send(_ bytes: ByteBuffer) {
        switch state {
        case .connecting(var waiting):
            if waiting.count == Self.maximumWaiting { waiting.removeFirst() }
            // A copy: the slice would keep all that came with it.
            waiting.append(ByteBuffer(bytes: bytes.readableBytesView))
            state = .connecting(waiting)
        case .open(let channel):
            // A network that takes no more loses them, as it would the app's own.
            if channel.isWritable { channel.writeAndFlush(bytes, promise: nil) }
        case .closed(let error):
            if let error { exchange.post(.failed(id, error)) }
        }
    }

    /// The kernel writes the identifier and the checksum.
    func echo(_ data: ByteBuffer, sequence: UInt16) {
        var message = ByteBuffer()
        message.reserveCapacity(Self.icmpHeaderLength + data.readableBytes)
        message.writeMultipleIntegers(isV4 ? 8 : 128 as UInt8, 0 as UInt8, 0 as UInt16, 0 as UInt16, sequence)
        message.writeImmutableBuffer(data)
        send(message)
    }

    func close() {
        if case .open(let channel) = state { channel.close(promise: nil) }
        state = .closed(nil)
    }

    /// What the network says of the last datagram, or of the socket.
    private func fail(_ error: any Error) {
        let reason: ICMPError
        switch DialOutcome(connecting: error) {
        case .failed(let error): reason = error
        case .refused: reason = .portUnreachable
        // For now there is no socket: the app's next datagram asks for one again.
        case .timedOut, .connected:
            close()
            return exchange.post(.closed(id))
        }
        if case .connecting = state { state = .closed(reason) }
        exchange.post(.failed(id, reason))
    }

    // MARK: From the network

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data).data
        switch kind {
        case .udp:
            bytes.withUnsafeReadableBytes { exchange.post(.datagram(id, length: $0.count), $0) }
        case .echo(let identifier):
            guard let header = bytes.readMultipleIntegers(as: (UInt8, UInt8, UInt16, UInt16, UInt16).self),
                header.0 == (isV4 ? 0 : 129)
            else { return }
            bytes.withUnsafeReadableBytes {
                exchange.post(.echo(id, identifier: identifier, sequence: header.4, length: $0.count), $0)
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(error) }
}
