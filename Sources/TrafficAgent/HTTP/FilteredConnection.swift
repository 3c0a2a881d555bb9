import ControlAPI
import Forwarding
import Glibc
import Logging
import NIOCore
import NIOPosix
import SSHClient
import SSHProtocol

/// A connection whose requests are looked at: joins the router to the client, the app, and the holders of intercepts.
///
/// Lives on the loop of the manager's sessions. Each side is read only while what it sends can be passed on.
final class FilteredConnection {
    private static let connectTimeout = TimeAmount.seconds(5)

    private let rules: [AgentRules.Rule]
    private let fallback: AgentRules.Rule?
    private let app: SocketAddress
    private let link: ManagerLink
    private let originator: Originator
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var router: RequestRouterMachine
    private var client: RoutedHandler?
    private var routes: [RequestRouterMachine.Route: Upstream] = [:]
    private var isOver = false

    /// A route's connection: bytes wait until it is there.
    private final class Upstream {
        var handler: RoutedHandler?
        var waiting: [ByteBuffer] = []
        var isEnded = false
    }

    /// `rules` are those with filters, in order; `fallback` is the intercept that takes what they do not.
    init(
        rules: [AgentRules.Rule], fallback: AgentRules.Rule?, probePaths: [String], app: SocketAddress,
        link: ManagerLink, originator: Originator, eventLoop: any EventLoop, logger: Logger
    ) {
        self.rules = rules
        self.fallback = fallback
        self.app = app
        self.link = link
        self.originator = originator
        self.eventLoop = eventLoop
        self.logger = logger
        // One that cannot be read takes nothing; the manager is told of it.
        let filters = rules.map { try? CompiledFilter($0.filter) }
        router = RequestRouterMachine { head in
            let isProbe =
                probePaths.contains { $0 == head.path }
                || head.headers.contains { $0.name == "user-agent" && $0.value.hasPrefix("kube-probe/") }
            for (index, filter) in filters.enumerated() where filter?.matches(head) == true {
                if !isProbe || rules[index].takesProbes { return .intercept(index) }
            }
            if let fallback, !isProbe || fallback.takesProbes { return .intercept(rules.count) }
            return .app
        }
    }

    /// Takes the descriptor over.
    func begin(_ descriptor: CInt) {
        let handler = RoutedHandler(
            received: { self.fromClient($0) }, ended: { self.perform(self.router.end()) },
            closed: { _ in self.finish(abort: false) }, writable: { self.readRoutes() })
        client = handler
        attach(handler, descriptor).assumeIsolated().whenComplete { result in
            switch result {
            case .success: handler.read()
            case .failure: close(descriptor)
            }
        }
    }

    private func attach(_ handler: RoutedHandler, _ descriptor: CInt) -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(handler, eventLoop: eventLoop)
        return ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try AppChannelOptions.set(on: channel)
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .withConnectedSocket(descriptor).map { _ in }
    }

    private func fromClient(_ bytes: ByteBuffer) {
        var bytes = bytes
        perform(router.receive(&bytes))
        readClient()
    }

    private func readClient() {
        guard !isOver, router.wantsClient, routes.values.allSatisfy({ $0.handler?.isWritable ?? $0.waiting.isEmpty })
        else { return }
        client?.read()
    }

    private func readRoutes() {
        for route in routes.values { route.handler?.read() }
    }

    // MARK: Effects

    private func perform(_ effects: [RequestRouterMachine.Effect]) {
        for effect in effects where !isOver {
            switch effect {
            case .send(let route, let bytes): send(bytes, to: route)
            case .answer(let bytes): client?.write(bytes)
            case .end(let route):
                let upstream = routes[route]
                upstream?.isEnded = true
                upstream?.handler?.end()
            case .close: finish(abort: false)
            case .abort: finish(abort: true)
            }
        }
    }

    private func send(_ bytes: ByteBuffer, to route: RequestRouterMachine.Route) {
        if let upstream = routes[route] {
            guard let handler = upstream.handler else { return upstream.waiting.append(bytes) }
            return handler.write(bytes)
        }
        let upstream = Upstream()
        upstream.waiting = [bytes]
        routes[route] = upstream
        open(route, upstream)
    }

    private func finish(abort: Bool) {
        guard !isOver else { return }
        isOver = true
        let upstreams = routes.values
        routes = [:]
        for upstream in upstreams { upstream.handler?.close(abort: false) }
        client?.close(abort: abort)
        client = nil
    }

    // MARK: Routes

    private func open(_ route: RequestRouterMachine.Route, _ upstream: Upstream) {
        switch route {
        case .app: connectApp(route, upstream)
        case .intercept(let index):
            guard let rule = index < rules.count ? rules[index] : fallback, let pool = link.pool else {
                return fail(route, "503 Service Unavailable", 5)
            }
            let target = ChannelTarget.tcp(host: "\(rule.id).intercept.telepresence", port: 1)
            pool.open(target, originator: originator) { [weak self] result in
                guard let self, !self.isOver else { return }
                switch result {
                case .success(let channel): self.join(channel, route, upstream)
                case .failure(let error):
                    self.logger.debug(
                        "not delivered", metadata: ["intercept": "\(rule.id)", "reason": "\(error.text)"])
                    if case .openFailed(let failure) = error.kind, failure.reason == .connectFailed {
                        return self.fail(route, "502 Bad Gateway", nil)
                    }
                    // Nobody is there for it. What was not sent yet may go to the app as if it were the route.
                    if rule.isProtected {
                        self.fail(route, "503 Service Unavailable", 5)
                    } else {
                        self.connectApp(route, upstream)
                    }
                }
            }
        }
    }

    private func handler(for route: RequestRouterMachine.Route) -> RoutedHandler {
        RoutedHandler(
            received: { [weak self] bytes in
                guard let self, !self.isOver else { return }
                var bytes = bytes
                self.perform(self.router.receive(&bytes, from: route))
                self.readClient()
                if self.client?.isWritable == true { self.routes[route]?.handler?.read() }
            },
            ended: { [weak self] in self?.routeEnded(route) },
            closed: { [weak self] isReset in
                guard let self, self.routes[route] != nil else { return }
                if isReset { self.fail(route, "502 Bad Gateway", nil) } else { self.routeEnded(route) }
            },
            writable: { [weak self] in self?.readClient() })
    }

    private func routeEnded(_ route: RequestRouterMachine.Route) {
        guard !isOver else { return }
        perform(router.ended(route))
        // It is opened anew if it is needed again.
        routes.removeValue(forKey: route)?.handler?.close(abort: false)
    }

    private func fail(_ route: RequestRouterMachine.Route, _ status: String, _ retryAfter: Int?) {
        guard !isOver else { return }
        routes.removeValue(forKey: route)?.handler?.close(abort: true)
        perform(router.failed(route, status, retryAfter: retryAfter))
    }

    private func connectApp(_ route: RequestRouterMachine.Route, _ upstream: Upstream) {
        let bound = NIOLoopBound(handler(for: route), eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(Self.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try AppChannelOptions.set(on: channel)
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(to: app).assumeIsolated().whenComplete { [weak self] result in
                guard let self, !self.isOver else { return bound.value.close(abort: true) }
                switch result {
                case .success: self.opened(upstream, bound.value)
                case .failure: self.fail(route, "502 Bad Gateway", nil)
                }
            }
    }

    private func join(_ channel: OpenedChannel, _ route: RequestRouterMachine.Route, _ upstream: Upstream) {
        let bound = NIOLoopBound(handler(for: route), eventLoop: eventLoop)
        SocketPair.make(on: eventLoop).assumeIsolated().whenComplete { [weak self] result in
            guard case .success((let near, let far)) = result else { return channel.close() }
            guard let self, !self.isOver else {
                near.close(promise: nil)
                far.close(promise: nil)
                return channel.close()
            }
            do {
                try far.pipeline.syncOperations.addHandler(bound.value)
                channel.glue(to: near)
                self.opened(upstream, bound.value)
            } catch {
                near.close(promise: nil)
                self.fail(route, "502 Bad Gateway", nil)
            }
        }
    }

    private func opened(_ upstream: Upstream, _ handler: RoutedHandler) {
        upstream.handler = handler
        let waiting = upstream.waiting
        upstream.waiting = []
        for bytes in waiting { handler.write(bytes) }
        if upstream.isEnded { handler.end() }
        handler.read()
        readClient()
    }
}
