import Glibc
import NIOCore
import NIOPosix

/// Makes the TCP connection of a session, and starts the session on it.
enum SSHClientConnector {
    /// What one recv() takes at most: several packets' worth, and less than what stays in the processor's cache.
    private static let receiveSize = 256 * 1024

    /// Calls `completion` once, on `eventLoop`; `onClosed` once after a success.
    static func connect(
        _ configuration: SSHClientConfiguration, on eventLoop: any EventLoop,
        onClosed: @escaping (SSHClientHandler, SSHClientError) -> Void,
        completion: @escaping (Result<SSHClientHandler, SSHClientError>) -> Void
    ) {
        eventLoop.assertInEventLoop()
        if let connector = configuration.connector {
            return connect(connector, configuration, on: eventLoop, onClosed: onClosed, completion: completion)
        }
        let milliseconds = Int(clamping: configuration.userTimeout.nanoseconds / 1_000_000)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(configuration.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(
                ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: TCP_USER_TIMEOUT)),
                value: milliseconds
            )
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: receiveSize))
            .channelOption(.maxMessagesPerRead, value: 1)
            // Writable means that everything was handed to the kernel.
            .channelOption(.writeBufferWaterMark, value: .init(low: 1, high: 1))
            .channelOption(.autoRead, value: false)
            .connect(host: configuration.host, port: configuration.port)
            .hop(to: eventLoop).assumeIsolated()
            .whenComplete { result in
                switch result {
                case .failure(let error):
                    completion(
                        .failure(
                            SSHClientError(
                                .unreachable,
                                "\(configuration.manager): cannot reach the manager: \(ConnectFailure.text(error)): "
                                    + "check the address, and that the manager runs")))
                case .success(let channel):
                    start(configuration, on: channel, onClosed: onClosed, completion: completion)
                }
            }
    }

    private static func connect(
        _ connector: SSHClientConfiguration.Connector, _ configuration: SSHClientConfiguration,
        on eventLoop: any EventLoop, onClosed: @escaping (SSHClientHandler, SSHClientError) -> Void,
        completion: @escaping (Result<SSHClientHandler, SSHClientError>) -> Void
    ) {
        connector.connect(eventLoop).hop(to: eventLoop).assumeIsolated().whenComplete { result in
            switch result {
            case .failure(let error):
                completion(.failure(SSHClientError(.unreachable, "\(error)")))
            case .success(let channel):
                do {
                    guard let options = channel.syncOptions else { throw ChannelError.operationUnsupported }
                    try options.setOption(.writeBufferWaterMark, value: .init(low: 1, high: 1))
                    try options.setOption(.autoRead, value: false)
                    start(configuration, on: channel, onClosed: onClosed, completion: completion)
                    connector.attached(channel)
                } catch {
                    channel.close(promise: nil)
                    completion(.failure(SSHClientError(.unreachable, "\(error)")))
                }
            }
        }
    }

    private static func start(
        _ configuration: SSHClientConfiguration, on channel: any Channel,
        onClosed: @escaping (SSHClientHandler, SSHClientError) -> Void,
        completion: @escaping (Result<SSHClientHandler, SSHClientError>) -> Void
    ) {
        do {
            let engine = try configuration.makeEngine()
            var deadline: Scheduled<Void>?
            weak var session: SSHClientHandler?
            let handler = SSHClientHandler(engine: engine, eventLoop: channel.eventLoop) { result in
                deadline?.cancel()
                guard let session else { return }
                completion(result.map { session })
            } onClosed: { error in
                if let session { onClosed(session, error) }
            }
            session = handler
            deadline = channel.eventLoop.assumeIsolated().scheduleTask(in: configuration.connectTimeout) {
                [weak handler] in
                handler?.fail(
                    SSHClientError(
                        .timedOut,
                        "\(configuration.manager): no SSH session after \(configuration.connectTimeout.nanoseconds / 1_000_000_000) s"
                    ))
            }
            try channel.pipeline.syncOperations.addHandler(handler)
            try channel.syncOptions?.setOption(.autoRead, value: true)
        } catch {
            channel.close(promise: nil)
            completion(.failure(error as? SSHClientError ?? SSHClientError(.unreachable, "\(error)")))
        }
    }
}
