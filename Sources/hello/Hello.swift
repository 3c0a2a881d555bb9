import ArgumentParser
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// `hello`: the embedded cluster's example workload.
///
/// Exit codes: 1 when the address cannot be listened on, 2 for a bad argument.
@main
struct Hello: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hello",
        abstract:
            "Answers every HTTP request with what it saw of it: the client, the request line, the headers, the body."
    )

    @Option(
        help: ArgumentHelp(
            "Where to listen; port 0 takes a free one. Repeatable. (default: 127.0.0.1:8080)",
            valueName: "address:port"),
        transform: ListenAddress.parse)
    var listen: [ListenAddress] = []

    @Option(
        help: ArgumentHelp("Also send every byte back as it came, there. Repeatable.", valueName: "address:port"),
        transform: ListenAddress.parse)
    var echoListen: [ListenAddress] = []

    @Option(
        help: ArgumentHelp("Also send every UDP datagram back, there. Repeatable.", valueName: "address:port"),
        transform: ListenAddress.parse)
    var udpListen: [ListenAddress] = []

    @Flag(help: "Send every byte back as it came (a TCP echo) instead of talking HTTP.")
    var raw = false

    static func main() async {
        do {
            var command = try Self.parseAsRoot()
            if var asyncCommand = command as? any AsyncParsableCommand {
                try await asyncCommand.run()
            } else {
                try command.run()
            }
        } catch let error as ListenFailure {
            finish(error.description, status: 1)
        } catch {
            // Help is not an error.
            if Self.exitCode(for: error) == .success { Self.exit(withError: error) }
            finish(Self.message(for: error), status: 2)
        }
    }

    func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        var servers: [any Channel] = []
        for address in listen.isEmpty ? [Self.defaultAddress] : listen {
            servers.append(try await Self.serve(address, raw: raw, on: group))
            Self.say("listening on \(ListenAddress(servers.last?.localAddress) ?? address)", on: STDOUT_FILENO)
        }
        for address in echoListen {
            servers.append(try await Self.serve(address, raw: true, on: group))
            Self.say("echoing on \(ListenAddress(servers.last?.localAddress) ?? address)", on: STDOUT_FILENO)
        }
        for address in udpListen {
            servers.append(try await Self.serveDatagrams(address, on: group))
            Self.say("echoing on UDP \(ListenAddress(servers.last?.localAddress) ?? address)", on: STDOUT_FILENO)
        }
        for server in servers { try await server.closeFuture.get() }
    }

    private static let defaultAddress = ListenAddress(host: "127.0.0.1", port: 8080)

    /// Listens and serves until the channel returned is closed. Throws a ``ListenFailure``.
    static func serve(
        _ address: ListenAddress, raw: Bool, on group: any EventLoopGroup
    ) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if raw {
                        try pipeline.addHandler(RawEchoHandler())
                    } else {
                        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                        try pipeline.addHandler(IdleStateHandler(allTimeout: RequestEchoHandler.idleTimeout))
                        try pipeline.addHandler(RequestEchoHandler())
                    }
                }
            }
        do {
            return try await bootstrap.bind(host: address.host, port: address.port).get()
        } catch {
            throw ListenFailure(address: address, reason: ListenFailure.reason(of: error))
        }
    }

    /// Sends datagrams back until the channel returned is closed. Throws a ``ListenFailure``.
    static func serveDatagrams(_ address: ListenAddress, on group: any EventLoopGroup) async throws -> any Channel {
        let bootstrap = DatagramBootstrap(group: group)
            .channelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: DatagramEchoHandler.receiveSize)
            )
            .channelOption(.maxMessagesPerRead, value: DatagramEchoHandler.maximumReads)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramEchoHandler())
                }
            }
        do {
            return try await bootstrap.bind(host: address.host, port: address.port).get()
        } catch {
            throw ListenFailure(address: address, reason: ListenFailure.reason(of: error))
        }
    }

    private static func finish(_ message: String, status: Int32) -> Never {
        say(message, on: STDERR_FILENO)
        Glibc.exit(status)
    }

    /// Unbuffered, so that whoever waits for a line in a pipe has it at once.
    private static func say(_ message: String, on descriptor: CInt) {
        var line = "hello: \(message)\n"
        line.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
    }
}
