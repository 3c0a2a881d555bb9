import IPPacket
import NIOCore
import NIOPosix

/// The relay of one UDP ASSOCIATE (RFC 1928 §6, §7): a socket beside the client's connection, which it lives as long as.
///
/// States: waiting (for the client's first datagram) → relaying → closed.
final class SOCKSAssociation: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    /// Destinations of one client at a time; beyond, the one that was added first is given up.
    private static let maximumFlows = 256
    /// The largest datagram there is, with the longest header.
    private static let receiveSize = 65_536

    private struct Destination: Hashable {
        var host: String
        var port: UInt16
    }

    private let datagrams: SOCKSDatagrams
    /// The address of the client's connection; nobody else is served.
    private let clientHost: String
    /// Where the client sends from; it may have announced its port.
    private var client: SocketAddress?
    private let announcedPort: UInt16
    private var flows: [Destination: DatagramFlowID] = [:]
    private var answers: [DatagramFlowID: (destination: Destination, header: ByteBuffer)] = [:]
    private var order = CircularBuffer<DatagramFlowID>()
    private var context: ChannelHandlerContext?
    private var isFlushing = false

    private init(datagrams: SOCKSDatagrams, clientHost: String, announcedPort: UInt16) {
        self.datagrams = datagrams
        self.clientHost = clientHost
        self.announcedPort = announcedPort
    }

    /// Binds a socket on the address that the client has reached; it ends with `connection`.
    static func make(
        for connection: any Channel, _ request: SOCKSRequest, datagrams: SOCKSDatagrams,
        completion: @escaping (SocketAddress?) -> Void
    ) {
        guard let host = connection.localAddress?.ipAddress, let clientHost = connection.remoteAddress?.ipAddress,
            datagrams.enter()
        else { return completion(nil) }
        let association = NIOLoopBound(
            SOCKSAssociation(datagrams: datagrams, clientHost: clientHost, announcedPort: request.port),
            eventLoop: connection.eventLoop)
        DatagramBootstrap(group: connection.eventLoop)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: receiveSize))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(association.value)
                }
            }
            .bind(host: host, port: 0)
            .assumeIsolated()
            .whenComplete { result in
                guard case .success(let channel) = result else {
                    datagrams.leave()
                    return completion(nil)
                }
                channel.closeFuture.assumeIsolated().whenComplete { _ in datagrams.leave() }
                connection.closeFuture.assumeIsolated().whenComplete { _ in channel.close(promise: nil) }
                completion(channel.localAddress)
            }
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    // MARK: From the client

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard isClient(envelope.remoteAddress), let datagram = SOCKSDatagram(envelope.data) else { return }
        client = envelope.remoteAddress
        let destination = Destination(host: datagram.host, port: datagram.port)
        let id = flows[destination] ?? open(destination, header: datagram.header)
        datagrams.send(datagram.bytes, on: id)
    }

    func channelReadComplete(context: ChannelHandlerContext) { datagrams.flush() }

    private func isClient(_ address: SocketAddress) -> Bool {
        if let client { return address == client }
        guard address.ipAddress == clientHost else { return false }
        return announcedPort == 0 || address.port == Int(announcedPort)
    }

    private func open(_ destination: Destination, header: ByteBuffer) -> DatagramFlowID {
        while order.count >= Self.maximumFlows, let oldest = order.first {
            ended(oldest)
            datagrams.close(oldest)
        }
        let id = datagrams.open(host: destination.host, port: destination.port, for: self)
        flows[destination] = id
        // A copy: the datagram's memory is not to be kept for it.
        answers[id] = (destination, ByteBuffer(bytes: header.readableBytesView))
        order.append(id)
        return id
    }

    // MARK: To the client

    func received(_ bytes: ByteBuffer, on id: DatagramFlowID) {
        guard let context, let client, var answer = answers[id]?.header, context.channel.isWritable else { return }
        answer.writeImmutableBuffer(bytes)
        context.write(wrapOutboundOut(AddressedEnvelope(remoteAddress: client, data: answer)), promise: nil)
        guard !isFlushing else { return }
        isFlushing = true
        context.eventLoop.assumeIsolated().execute {
            self.isFlushing = false
            self.context?.flush()
        }
    }

    func ended(_ id: DatagramFlowID) {
        guard let answer = answers.removeValue(forKey: id) else { return }
        flows[answer.destination] = nil
        order.removeAll { $0 == id }
    }

    func channelInactive(context: ChannelHandlerContext) {
        for id in order { datagrams.close(id) }
        flows = [:]
        answers = [:]
        order = []
        context.fireChannelInactive()
    }

    /// Of one datagram, such as one that is too long.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
