import DNS
import NIOCore
import SSHClient

/// Names that are looked up in the cluster, whatever this machine says of them.
enum ClusterNames {
    /// For all of them together.
    private static let deadline = TimeAmount.seconds(5)

    /// The addresses of each; a name that has none is not in it. On the pool's event loop.
    static func resolve(
        _ names: [String], through pool: SSHClientPool, completion: @escaping ([String: [NetworkAddress]]) -> Void
    ) {
        let queries = names.compactMap { text in (try? Name(text[...])).map { (text, $0) } }
        guard !queries.isEmpty else { return completion([:]) }
        ManagerStream.open(ManagerStream.dns, through: pool) { result in
            guard case .success(let stream) = result else { return completion([:]) }
            let handler = Handler(queries) { found in
                stream.close()
                completion(found)
            }
            let timeout = pool.eventLoop.assumeIsolated().scheduleTask(in: deadline) { handler.finish() }
            handler.timeout = timeout
            do {
                try stream.channel.pipeline.syncOperations.addHandler(handler)
                for (index, query) in handler.messages.enumerated() {
                    var frame = ByteBuffer()
                    var message = query
                    message.header.id = UInt16(index)
                    try DNSStreamFraming.write(try message.encoded(), to: &frame)
                    stream.channel.write(frame, promise: nil)
                }
                stream.channel.flush()
                try stream.channel.syncOptions?.setOption(.autoRead, value: true)
            } catch {
                handler.finish()
            }
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        let messages: [Message]
        var timeout: Scheduled<Void>?
        private let names: [String]
        private var left: Int
        private var found: [String: [NetworkAddress]] = [:]
        private var framing = DNSStreamFraming()
        private var completion: (([String: [NetworkAddress]]) -> Void)?

        /// Each name is asked for twice, its IPv4 and its IPv6 addresses.
        init(_ queries: [(String, Name)], _ completion: @escaping ([String: [NetworkAddress]]) -> Void) {
            names = queries.flatMap { [$0.0, $0.0] }
            messages = queries.flatMap { _, name in
                [RecordType.a, .aaaa].map { type in
                    var message = Message(header: Header(id: 0))
                    message.header.recursionDesired = true
                    message.questions = [Question(name: name, type: type)]
                    return message
                }
            }
            left = names.count
            self.completion = completion
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            framing.append(unwrapInboundIn(data))
            while let bytes = try? framing.next() {
                guard let message = try? Message(reading: bytes), names.indices.contains(Int(message.header.id)) else {
                    continue
                }
                for record in message.answers {
                    switch record.data {
                    case .a(let address):
                        add(NetworkAddress(number: UInt128(address), isIPv4: true), message)
                    case .aaaa(let address): add(NetworkAddress(number: address, isIPv4: false), message)
                    default: continue
                    }
                }
                left -= 1
            }
            if left == 0 { finish() }
        }

        private func add(_ address: NetworkAddress, _ message: Message) {
            found[names[Int(message.header.id)], default: []].append(address)
        }

        func channelInactive(context: ChannelHandlerContext) { finish() }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { finish() }
        }

        func finish() {
            timeout?.cancel()
            let completion = completion
            self.completion = nil
            completion?(found)
        }
    }
}
