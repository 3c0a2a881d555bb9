import CLinux
import Glibc
import Kubernetes
import NIOCore
import NIOPosix
import SSHProtocol

/// The socket of one flow, connected to where it leads. Confined to its event loop.
///
/// States: open → closed. The channel reads; datagrams are sent past it, since a channel takes some errors for its end
/// that are only of the datagram before.
final class DatagramSocket: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    enum Kind: Hashable {
        case udp
        case echo
    }

    enum Event {
        case datagram(ByteBuffer)
        case echo(sequence: UInt16, ByteBuffer)
        /// What was sent did not arrive.
        case failed(Failure)
        /// No more datagrams for now.
        case pause
        /// The socket is of no more use.
        case lost
    }

    /// What the system says, as far as the client can tell it its programs.
    struct Failure: Error {
        var reason: DatagramFrame.Reason
        var text: String

        init(reason: DatagramFrame.Reason, text: String) {
            self.reason = reason
            self.text = text
        }

        init(_ error: CInt) {
            reason =
                switch error {
                case ECONNREFUSED, ENOPROTOOPT: .portUnreachable
                case EACCES, EPERM: .prohibited
                case EMFILE, ENFILE, ENOBUFS, ENOMEM, EAGAIN, EMSGSIZE, EADDRNOTAVAIL: .resourceShortage
                default: .hostUnreachable
                }
            text = strerror(error).map { String(cString: $0) } ?? "error \(error)"
        }
    }

    /// Datagrams that are read before others on the event loop have their turn: about as many small ones as the kernel
    /// keeps for a socket (net.core's rmem_default), and as many as are sent in a turn.
    private static let maximumReads = UInt(DatagramHandler.turn)
    private static let headerLength = 8

    private let kind: Kind
    private let isIPv4: Bool
    /// Of a raw socket, which sees the answers to all others: which ones are its own. The kernel sees to it otherwise.
    private let identifier: UInt16?
    private let onEvent: (Event) -> Void
    private var descriptor: CInt
    private var channel: (any Channel)?
    private var scratch = ByteBuffer()
    /// Somebody was told of an error: the channel may yet stumble over the same one.
    private(set) var hasFailed = false

    /// Connects; `identifier` tells the echoes of several raw sockets apart.
    init(
        _ kind: Kind, to endpoint: Endpoint, identifier: UInt16, on eventLoop: any EventLoop,
        onEvent: @escaping (Event) -> Void
    ) throws(Failure) {
        self.kind = kind
        self.onEvent = onEvent
        let family: CInt
        var address = ByteBuffer()
        switch endpoint.address.canonical {
        case .v4(let number):
            (family, isIPv4) = (AF_INET, true)
            address.writeInteger(number)
        case .v6(let number):
            (family, isIPv4) = (AF_INET6, false)
            address.writeInteger(number)
        }
        var isRaw: CInt = 0
        descriptor = address.withUnsafeReadableBytes { bytes in
            kind == .udp
                ? clinux_udp_socket(family, bytes.baseAddress, CInt(endpoint.port))
                : clinux_echo_socket(family, bytes.baseAddress, &isRaw)
        }
        self.identifier = isRaw == 0 ? nil : identifier
        guard descriptor >= 0 else {
            if kind == .echo, descriptor == -EPERM || descriptor == -EACCES {
                throw Failure(
                    reason: .prohibited,
                    text: "the manager may not send echoes (net.ipv4.ping_group_range, or CAP_NET_RAW, would let it)")
            }
            throw Failure(-descriptor)
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        DatagramBootstrap(group: eventLoop)
            .channelOption(.recvAllocator, value: DatagramBufferSize(descriptor: descriptor))
            .channelOption(.maxMessagesPerRead, value: Self.maximumReads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
            }
            .withBoundSocket(descriptor).hop(to: eventLoop).assumeIsolated().whenComplete { result in
                switch result {
                case .success(let channel):
                    if self.descriptor < 0 { return channel.close(promise: nil) }
                    self.channel = channel
                case .failure:
                    // Its descriptor is closed.
                    self.lose()
                }
            }
    }

    /// What the network does not take at once is lost, as a program's own datagram would be; `false` then.
    func send(_ bytes: ByteBuffer) -> Bool {
        // An error of the datagram before is told in the place of this one's outcome.
        var told: CInt = 0
        for _ in 0..<2 where descriptor >= 0 {
            let outcome = bytes.withUnsafeReadableBytes { clinux_datagram_send(descriptor, $0.baseAddress, $0.count) }
            switch -outcome {
            case 0: return true
            case EAGAIN, ENOBUFS: return false
            case let error:
                _ = clinux_datagram_error(descriptor)
                hasFailed = true
                if error != told { onEvent(.failed(Failure(error))) }
                told = error
            }
        }
        return false
    }

    func echo(_ payload: ByteBuffer, sequence: UInt16) -> Bool {
        scratch.clear(minimumCapacity: Self.headerLength + payload.readableBytes)
        // The kernel writes what is 0 here, but for IPv4 and raw.
        scratch.writeMultipleIntegers(isIPv4 ? 8 : 128 as UInt8, 0 as UInt8, 0 as UInt16, identifier ?? 0, sequence)
        scratch.writeImmutableBuffer(payload)
        if isIPv4, identifier != nil { scratch.setInteger(scratch.internetChecksum, at: 2) }
        return send(scratch)
    }

    func close() {
        descriptor = -1
        channel?.close(promise: nil)
        channel = nil
    }

    private func lose() {
        guard descriptor >= 0 else { return }
        descriptor = -1
        channel = nil
        onEvent(.lost)
    }

    // MARK: From the network

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data).data
        guard descriptor >= 0 else { return }
        switch kind {
        case .udp:
            onEvent(.datagram(bytes))
        case .echo:
            if identifier != nil, isIPv4 {
                // A raw socket reads the header, too (RFC 791 §3.1); its length is in words.
                guard let first: UInt8 = bytes.getInteger(at: bytes.readerIndex),
                    bytes.readSlice(length: Int(first & 0xf) * 4) != nil
                else { return }
            }
            guard let header = bytes.readMultipleIntegers(as: (UInt8, UInt8, UInt16, UInt16, UInt16).self),
                header.0 == (isIPv4 ? 0 : 129), header.1 == 0, identifier == nil || header.3 == identifier
            else { return }
            onEvent(.echo(sequence: header.4, bytes))
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if descriptor >= 0 { onEvent(.pause) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard descriptor >= 0 else { return }
        // The queue is emptied, or the same error is told of without end.
        let queued = clinux_datagram_error(descriptor)
        hasFailed = true
        onEvent(.failed(Failure((error as? IOError)?.errnoCode ?? queued)))
    }

    func channelInactive(context: ChannelHandlerContext) { lose() }
}

extension ByteBuffer {
    /// RFC 1071.
    fileprivate var internetChecksum: UInt16 {
        var sum = 0 as UInt32
        var rest = self
        while let word: UInt16 = rest.readInteger() { sum &+= UInt32(word) }
        if let last: UInt8 = rest.readInteger() { sum &+= UInt32(last) << 8 }
        while sum > 0xffff { sum = sum >> 16 + sum & 0xffff }
        return ~UInt16(truncatingIfNeeded: sum)
    }
}
