import ControlAPI
import Forwarding
import Logging
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import SSHClient

/// A connection of HTTP/2 whose requests are looked at: each stream goes where a filter says, on a connection of its own
/// for each route.
///
/// Lives on the loop of the manager's sessions. Frames are passed on, while what the protocol settles for each connection
/// — settings, flow control, compression of headers — is settled with each side.
final class HTTP2Connection {
    private static let connectTimeout = TimeAmount.seconds(5)
    /// Of a stream, and of a connection: what a fast path has under way.
    private static let streamWindow = 1 << 20
    private static let connectionWindow = 4 << 20
    /// A client that gives many calls up early is a client all the same.
    private static let maximumResets = 10_000

    private let filters: FilterSet
    private let holders: HolderLine
    private let originator: Originator
    private let eventLoop: any EventLoop
    private var client: (any Channel)?
    private var routes: [RequestRouterMachine.Route: Upstream] = [:]
    private var isOver = false

    /// A route's connection, and the streams that wait for it.
    private final class Upstream {
        var channel: (any Channel)?
        var multiplexer: NIOHTTP2Handler.StreamMultiplexer?
        var waiting: [HTTP2StreamEnd] = []
    }

    init(_ filters: FilterSet, holders: HolderLine, originator: Originator) {
        self.filters = filters
        self.holders = holders
        self.originator = originator
        eventLoop = holders.eventLoop
    }

    static var configuration: NIOHTTP2Handler.Configuration {
        var configuration = NIOHTTP2Handler.Configuration()
        configuration.connection.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: 1000),
            HTTP2Setting(parameter: .maxHeaderListSize, value: HPACKDecoder.defaultMaxHeaderListSize),
            HTTP2Setting(parameter: .initialWindowSize, value: streamWindow),
        ]
        configuration.connection.targetWindowSize = connectionWindow
        configuration.connection.controlFrameRateLimit.maximumCount = maximumResets
        configuration.stream.targetWindowSize = streamWindow
        configuration.stream.streamResetFrameRateLimit.maximumCount = maximumResets
        return configuration
    }

    /// Takes the descriptor over; `bytes` have been read from it.
    func begin(_ descriptor: CInt, _ bytes: ByteBuffer) {
        let this = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let configuration = Self.configuration
                    _ = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
                        mode: .server, connectionConfiguration: configuration.connection,
                        streamConfiguration: configuration.stream
                    ) { stream in
                        stream.eventLoop.makeCompletedFuture { try this.value.accept(stream) }
                    }
                    try channel.pipeline.syncOperations.addHandler(HTTP2Watch { _ in this.value.finish() })
                }
            }
            .withConnectedSocket(descriptor).assumeIsolated().whenComplete { result in
                guard case .success(let channel) = result else { return HolderLine.drop(descriptor) }
                self.client = channel
                channel.pipeline.fireChannelRead(bytes)
                channel.pipeline.fireChannelReadComplete()
            }
    }

    private func finish() {
        guard !isOver else { return }
        isOver = true
        client = nil
        let upstreams = routes.values
        routes = [:]
        for upstream in upstreams { upstream.channel?.close(promise: nil) }
    }

    // MARK: Streams

    private func accept(_ stream: any Channel) throws {
        try stream.syncOptions?.setOption(.autoRead, value: false)
        let end = HTTP2StreamEnd()
        end.onHeaders = { [weak self] headers, end in self?.route(headers, end) }
        try stream.pipeline.syncOperations.addHandler(end)
    }

    private func route(_ headers: HPACKHeaders, _ end: HTTP2StreamEnd) {
        let route = Self.head(headers).map { filters.route(of: $0) } ?? .app
        let upstream = routes[route] ?? Upstream()
        if routes[route] == nil {
            routes[route] = upstream
            open(route, upstream)
        }
        if upstream.multiplexer != nil { join(end, upstream) } else { upstream.waiting.append(end) }
    }

    /// The head of HTTP/1 that says the same, which filters look at.
    private static func head(_ headers: HPACKHeaders) -> HTTPHead? {
        var text = "\(headers.first(name: ":method") ?? "") \(headers.first(name: ":path") ?? "*") HTTP/1.1\r\n"
        for (name, value, _) in headers where !name.hasPrefix(":") { text += "\(name): \(value)\r\n" }
        if let authority = headers.first(name: ":authority") { text += "host: \(authority)\r\n" }
        var head = HTTPHead()
        return (try? head.read(ByteBuffer(string: text + "\r\n"), isResponse: false)) == true ? head : nil
    }

    private func join(_ end: HTTP2StreamEnd, _ upstream: Upstream) {
        let partner = HTTP2StreamEnd()
        let bound = NIOLoopBound(partner, eventLoop: eventLoop)
        upstream.multiplexer?.createStreamChannel { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.syncOptions?.setOption(.autoRead, value: false)
                try stream.pipeline.syncOperations.addHandler(bound.value)
            }
        }
        .assumeIsolated().whenComplete { result in
            switch result {
            case .success: end.join(partner)
            case .failure: end.answer(502)
            }
        }
    }

    // MARK: Routes

    private func open(_ route: RequestRouterMachine.Route, _ upstream: Upstream) {
        guard case .intercept(let index) = route else { return connectApp(route, upstream) }
        let rule = filters.rules[index]
        let this = NIOLoopBound((self, upstream), eventLoop: eventLoop)
        holders.open(rule, from: originator) { result in
            // Said on the loop of the manager's sessions.
            let (connection, upstream) = this.value
            switch result {
            case .success(let descriptor): connection.adopt(descriptor, route, upstream)
            case .failure(.refused): connection.fail(route, upstream, 502)
            case .failure(.away) where rule.isProtected: connection.fail(route, upstream, 503)
            case .failure(.away): connection.connectApp(route, upstream)
            }
        }
    }

    private func adopt(_ descriptor: CInt, _ route: RequestRouterMachine.Route, _ upstream: Upstream) {
        guard !isOver else { return HolderLine.drop(descriptor) }
        opened(bootstrap(route, upstream).withConnectedSocket(descriptor), route, upstream)
    }

    private func connectApp(_ route: RequestRouterMachine.Route, _ upstream: Upstream) {
        guard !isOver else { return }
        opened(
            bootstrap(route, upstream).channelOption(.tcpOption(.tcp_nodelay), value: 1).connect(to: holders.app),
            route, upstream)
    }

    private func bootstrap(_ route: RequestRouterMachine.Route, _ upstream: Upstream) -> ClientBootstrap {
        let this = NIOLoopBound((self, upstream), eventLoop: eventLoop)
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(Self.connectTimeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    var configuration = Self.configuration
                    // What is pushed was asked for by nobody.
                    configuration.connection.initialSettings.append(HTTP2Setting(parameter: .enablePush, value: 0))
                    let (connection, upstream) = this.value
                    upstream.multiplexer = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
                        mode: .client, connectionConfiguration: configuration.connection,
                        streamConfiguration: configuration.stream
                    ) { stream in stream.close() }
                    let watch = HTTP2Watch { isOver in connection.ended(route, this.value.1, isOver: isOver) }
                    try channel.pipeline.syncOperations.addHandler(watch)
                }
            }
    }

    private func opened(
        _ future: EventLoopFuture<any Channel>, _ route: RequestRouterMachine.Route, _ upstream: Upstream
    ) {
        future.assumeIsolated().whenComplete { [weak self] result in
            guard case .success(let channel) = result else {
                upstream.multiplexer = nil
                self?.fail(route, upstream, 502)
                return
            }
            guard let self, !self.isOver else { return channel.close(promise: nil) }
            upstream.channel = channel
            let waiting = upstream.waiting
            upstream.waiting = []
            for end in waiting { self.join(end, upstream) }
        }
    }

    /// A route takes no new streams, or is gone: another connection is made when it is needed.
    private func ended(_ route: RequestRouterMachine.Route, _ upstream: Upstream, isOver: Bool) {
        if routes[route] === upstream { routes[route] = nil }
    }

    private func fail(_ route: RequestRouterMachine.Route, _ upstream: Upstream, _ status: Int) {
        if routes[route] === upstream { routes[route] = nil }
        let waiting = upstream.waiting
        upstream.waiting = []
        for end in waiting { end.answer(status) }
    }
}
