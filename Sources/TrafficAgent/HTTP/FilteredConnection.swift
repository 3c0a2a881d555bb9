import CLinux
import ControlAPI
import Glibc
import NIOCore
import Reactors
import SSHClient

/// A connection whose requests are looked at: joins the router to the client, the app, and the holders of intercepts.
///
/// Lives on a reactor. Each side is read only while what it sends can be passed on.
final class FilteredConnection {
    private let filters: FilterSet
    private let holders: HolderLine
    private let originator: Originator
    private let reactor: Reactor
    private var router: RequestRouterMachine
    private var client: FilteredEnd?
    private var routes: [RequestRouterMachine.Route: Upstream] = [:]
    private var effects: [RequestRouterMachine.Effect] = []
    private var isPerforming = false
    private var isOver = false

    /// A route's connection. An intercept's bytes wait until its holder has taken it: what cannot be delivered may still
    /// go to the app.
    private final class Upstream {
        var end: FilteredEnd?
        var waiting: [ByteBuffer] = []
        var isEnded = false
    }

    init(_ filters: FilterSet, holders: HolderLine, originator: Originator, on reactor: Reactor) {
        self.filters = filters
        self.holders = holders
        self.originator = originator
        self.reactor = reactor
        router = RequestRouterMachine(other: filters.other) { filters.route(of: $0) }
    }

    /// Takes the descriptor over.
    func begin(_ descriptor: CInt) {
        // The client's socket holds the connection while it is open.
        let client = FilteredEnd(descriptor, on: reactor) { event in
            switch event {
            case .readable: self.readClient()
            case .drained: self.readRoutes()
            case .connected: break
            case .broken: self.finish(abort: true)
            }
        }
        self.client = client
        if reactor.add(client) != 0 { finish(abort: true) }
    }

    // MARK: Reading

    private func readClient() {
        guard !isOver, let client, router.wantsClient,
            routes.values.allSatisfy({ $0.end?.isDrained ?? $0.waiting.isEmpty })
        else { return }
        reactor.input.clear()
        switch client.read(into: &reactor.input) {
        case .nothing: return
        case .bytes:
            router.receive(reactor.input, &effects)
            perform()
            client.readLater()
        case .end:
            router.end(&effects)
            perform()
        case .broken: finish(abort: true)
        }
    }

    private func readRoutes() {
        for (route, upstream) in routes { read(route, upstream) }
    }

    private func read(_ route: RequestRouterMachine.Route, _ upstream: Upstream) {
        guard !isOver, let end = upstream.end, client?.isDrained == true else { return }
        reactor.input.clear()
        switch end.read(into: &reactor.input) {
        case .nothing: return
        case .bytes:
            router.receive(reactor.input, from: route, &effects)
            perform()
            end.readLater()
        case .end: return routeEnded(route)
        case .broken: return fail(route, "502 Bad Gateway", nil)
        }
        // It may have waited for this answer.
        client?.readLater()
    }

    // MARK: Effects

    private func perform() {
        guard !isPerforming else { return }
        isPerforming = true
        var index = 0
        // A route that cannot be had adds to them.
        while index < effects.count, !isOver {
            switch effects[index] {
            case .send(let route, let bytes): send(bytes, to: route)
            case .answer(let bytes): client?.write(bytes)
            case .end(let route):
                let upstream = routes[route]
                upstream?.isEnded = true
                upstream?.end?.end()
            case .close: finish(abort: false)
            case .abort: finish(abort: true)
            case .http2(let bytes): handOver(bytes)
            }
            index += 1
        }
        effects.removeAll(keepingCapacity: true)
        isPerforming = false
    }

    private func send(_ bytes: ByteBuffer, to route: RequestRouterMachine.Route) {
        if let upstream = routes[route] {
            guard let end = upstream.end else { return upstream.waiting.append(bytes) }
            return end.write(bytes)
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
        for upstream in upstreams { upstream.end?.close(abort: false) }
        client?.close(abort: abort)
        client = nil
    }

    private func handOver(_ bytes: ByteBuffer) {
        guard let client else { return }
        self.client = nil
        isOver = true
        holders.beginHTTP2(client.release(), bytes, filters, from: originator)
    }

    // MARK: Routes

    private func open(_ route: RequestRouterMachine.Route, _ upstream: Upstream) {
        guard case .intercept(let index) = route else { return connectApp(route, upstream) }
        let rule = filters.rules[index]
        let reactor = reactor
        let this = NIOLoopBound((self, upstream), eventLoop: reactor)
        holders.open(rule, from: originator) { result in
            reactor.execute {
                let (connection, upstream) = this.value
                guard !connection.isOver else {
                    if case .success(let descriptor) = result { HolderLine.drop(descriptor) }
                    return
                }
                switch result {
                case .success(let descriptor): connection.opened(descriptor, route, upstream)
                case .failure(.refused): connection.fail(route, "502 Bad Gateway", nil)
                case .failure(.away):
                    // Nobody is there for it. What was not sent yet may go to the app as if it were the route.
                    if rule.isProtected {
                        connection.fail(route, "503 Service Unavailable", 5)
                    } else {
                        connection.connectApp(route, upstream)
                    }
                }
            }
        }
    }

    private func end(_ descriptor: CInt, isConnecting: Bool, _ route: RequestRouterMachine.Route) -> FilteredEnd {
        FilteredEnd(descriptor, isConnecting: isConnecting, on: reactor) { [weak self] event in
            guard let self, let upstream = self.routes[route] else { return }
            switch event {
            case .readable: self.read(route, upstream)
            case .drained, .connected: self.readClient()
            case .broken: self.fail(route, "502 Bad Gateway", nil)
            }
        }
    }

    private func connectApp(_ route: RequestRouterMachine.Route, _ upstream: Upstream) {
        let app = holders.app
        let descriptor = clinux_stream_socket(app.protocol.rawValue)
        guard descriptor >= 0 else { return fail(route, "503 Service Unavailable", 5) }
        _ = clinux_set_no_delay(descriptor)
        let isRefused = app.withSockAddr { connect(descriptor, $0, socklen_t($1)) } != 0
        let isConnecting = isRefused && errno == EINPROGRESS && clinux_is_connected(descriptor) == 0
        guard !isRefused || isConnecting || clinux_is_connected(descriptor) != 0 else {
            close(descriptor)
            return fail(route, "502 Bad Gateway", nil)
        }
        opened(descriptor, isConnecting: isConnecting, route, upstream)
    }

    private func opened(
        _ descriptor: CInt, isConnecting: Bool = false, _ route: RequestRouterMachine.Route, _ upstream: Upstream
    ) {
        let end = end(descriptor, isConnecting: isConnecting, route)
        upstream.end = end
        guard reactor.add(end) == 0 else {
            end.close(abort: true)
            return fail(route, "503 Service Unavailable", 5)
        }
        let waiting = upstream.waiting
        upstream.waiting = []
        for bytes in waiting { end.write(bytes) }
        if upstream.isEnded { end.end() }
        readClient()
    }

    private func routeEnded(_ route: RequestRouterMachine.Route) {
        guard !isOver else { return }
        router.ended(route, &effects)
        // It is opened anew if it is needed again.
        routes.removeValue(forKey: route)?.end?.close(abort: false)
        perform()
        client?.readLater()
    }

    private func fail(_ route: RequestRouterMachine.Route, _ status: String, _ retryAfter: Int?) {
        guard !isOver else { return }
        routes.removeValue(forKey: route)?.end?.close(abort: true)
        router.failed(route, status, retryAfter: retryAfter, &effects)
        perform()
    }
}
