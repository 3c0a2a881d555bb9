import ControlAPI
import HTTPTypes
import HummingbirdCore
import NIOCore
import SSHProtocol
import SSHServer

/// The routes and what they answer. `OpenAPIDocument` describes them.
struct APIRoutes: Sendable {
    let all: [APIRoute]
    private let byPath: [String: APIRoute]
    private let authorizer: APIAuthorizer?

    /// With an authorizer nobody on the network is told anything but how the manager is.
    init(overview: ManagerOverview, watchInterval: Duration, authorizer: APIAuthorizer? = nil) {
        self.authorizer = authorizer
        let watch = APIWatch(interval: watchInterval)
        all = [
            APIRoute(path: "/healthz", audience: .everyone) { _ in APIAnswer.text("ok\n") },
            APIRoute(path: "/readyz", audience: .everyone) { _ in
                let problems = overview.unreadiness()
                return problems.isEmpty
                    ? APIAnswer.text("ok\n")
                    : APIAnswer.text(problems.joined(separator: "\n") + "\n", status: .serviceUnavailable)
            },
            APIRoute(path: "/metrics", audience: .monitoring) { _ in
                APIAnswer.text(
                    ManagerMetrics.text(
                        statistics: overview.statistics(), datagrams: overview.datagrams(), status: overview.status(),
                        process: .read()),
                    contentType: PrometheusText.contentType)
            },
            APIRoute(path: "/openapi.json", audience: .session) { _ in
                APIAnswer.text(OpenAPIDocument.json, contentType: APIAnswer.json)
            },
            APIRoute(path: "/v1/version", audience: .session) { _ in APIAnswer.model(ManagerVersion.info) },
            APIRoute(path: "/v1/status", audience: .session) { _ in APIAnswer.model(overview.status()) },
            APIRoute(path: "/v1/cluster", audience: .session) { _ in APIAnswer.model(overview.cluster()) },
            APIRoute(path: "/v1/services", audience: .session, parameters: ["namespace", "watch"]) { request in
                let namespace = request.parameter("namespace")
                if try Self.wantsWatch(request) {
                    return watch.stream(to: request, id: { "\($0.namespace)/\($0.name)" }, differs: { $0 != $1 }) {
                        overview.services(inNamespace: namespace)
                    }
                }
                return APIAnswer.model(ItemList(overview.services(inNamespace: namespace)))
            },
            APIRoute(path: "/v1/sessions", audience: .session, parameters: ["watch"]) { request in
                if try Self.wantsWatch(request) {
                    return watch.stream(to: request, id: \.id, differs: { $0.differs(from: $1) }) {
                        await overview.sessions()
                    }
                }
                return APIAnswer.model(ItemList(await overview.sessions()))
            },
            APIRoute(path: "/v1/intercepts", audience: .session, parameters: ["watch"]) { request in
                if try Self.wantsWatch(request) {
                    return watch.stream(to: request, id: \.id, differs: { $0 != $1 }) {
                        overview.intercepts?.intercepts ?? []
                    }
                }
                return APIAnswer.model(ItemList(overview.intercepts?.intercepts ?? []))
            },
            APIRoute(path: "/v1/workloads", audience: .session, parameters: ["watch"]) { request in
                if try Self.wantsWatch(request) {
                    return watch.stream(to: request, id: { "\($0.namespace)/\($0.name)" }, differs: { $0 != $1 }) {
                        overview.intercepts?.workloads ?? []
                    }
                }
                return APIAnswer.model(ItemList(overview.intercepts?.workloads ?? []))
            },
            APIRoute(
                path: "/v1/environment", audience: .session, parameters: ["workload", "namespace", "container"]
            ) { request in
                let (session, intercepts, name) = try Self.workload(request, overview)
                switch intercepts.place(of: name, for: session) {
                case .failure(let failure): return Self.refused(failure)
                case .success(let place):
                    do {
                        return APIAnswer.model(
                            try await intercepts.environment(of: place, on: request.channel.eventLoop).get())
                    } catch {
                        return APIAnswer.error(.serviceUnavailable, "\(error)")
                    }
                }
            },
            APIRoute(
                path: "/v1/agents", audience: .session, method: .post, parameters: ["workload", "namespace"]
            ) { request in
                let (session, intercepts, name) = try Self.workload(request, overview)
                if let failure = intercepts.wantAgent(of: name, for: session) { return Self.refused(failure) }
                return APIAnswer.model(ItemName(name: name.name), status: .accepted)
            },
            APIRoute(
                path: "/v1/agents/state", audience: .session, parameters: ["workload", "namespace"]
            ) { request in
                let (session, intercepts, name) = try Self.workload(request, overview)
                switch intercepts.progressOfAgent(of: name, for: session) {
                case .failure(let failure): return Self.refused(failure)
                case .success(let progress): return APIAnswer.model(progress)
                }
            },
            APIRoute(path: "/v1/intercepts/check", audience: .session, parameters: ["bind", "port"]) { request in
                guard let session = request.session, let bind = request.parameter("bind"),
                    let port = request.parameter("port").flatMap(UInt16.init), let intercepts = overview.intercepts
                else { throw APIBadRequest(text: "bind is a workload's name, and port a number") }
                if let failure = intercepts.refusal(of: bind, port: port, for: session) {
                    return APIAnswer.error(.conflict, failure.text)
                }
                return APIAnswer.model(ItemList([InterceptInfo]()))
            },
            APIRoute(path: "/v1/intercepts/revoke", audience: .session, method: .post, parameters: ["id"]) { request in
                guard let session = request.session, session.permissions.isAdmin else {
                    return APIAnswer.error(.forbidden, "intercepts are revoked with an admin key")
                }
                let id = request.parameter("id") ?? ""
                guard let revoked = overview.intercepts?.revoke(id) else {
                    return APIAnswer.error(.notFound, "there is no intercept \(id)")
                }
                return APIAnswer.model(revoked)
            },
        ]
        byPath = Dictionary(all.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
    }

    private static func workload(
        _ request: APIRequest, _ overview: ManagerOverview
    ) throws -> (SessionIdentity, InterceptService, WorkloadName) {
        guard let session = request.session, let intercepts = overview.intercepts,
            let name = request.parameter("workload"), !name.isEmpty
        else { throw APIBadRequest(text: "workload is the name of one") }
        return (
            session, intercepts,
            WorkloadName(
                name: name, namespace: request.parameter("namespace"), container: request.parameter("container"))
        )
    }

    private static func refused(_ failure: OpenFailure) -> Response {
        APIAnswer.error(failure.reason == .administrativelyProhibited ? .forbidden : .notFound, failure.text)
    }

    func respond(to request: APIRequest) async -> Response {
        let response = await answer(request)
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func answer(_ request: APIRequest) async -> Response {
        let route = byPath[request.path]
        if let refusal = await refusal(of: request, route) { return refusal }
        guard let route else {
            return APIAnswer.error(.notFound, "no \(request.path) here; /openapi.json lists what there is")
        }
        guard request.method == route.method || request.method == .head && route.method == .get else {
            let isRead = route.method == .get
            var response = APIAnswer.error(
                .methodNotAllowed, "\(route.path) answers \(isRead ? "GET and HEAD" : "POST")")
            response.headers[.allow] = isRead ? "GET, HEAD" : "POST"
            return response
        }
        do {
            return try await route.handler(request)
        } catch let error as APIBadRequest {
            return APIAnswer.error(.badRequest, error.text)
        } catch {
            return APIAnswer.error(.internalServerError, "\(route.path) failed")
        }
    }

    private func refusal(of request: APIRequest, _ route: APIRoute?) async -> Response? {
        guard request.session == nil, route?.audience != .everyone else { return nil }
        guard let route, route.audience == .monitoring else {
            return APIAnswer.error(
                .forbidden, "\(request.path) is answered only through SSH, as http://api.telepresence:8081")
        }
        guard let authorizer else { return nil }
        switch await authorizer.decide(token: request.bearerToken, verb: "get", path: route.path) {
        case .allowed: return nil
        case .unauthenticated:
            var response = APIAnswer.error(.unauthorized, "\(route.path) is told to whoever has a token of the cluster")
            response.headers[.wwwAuthenticate] = "Bearer"
            return response
        case .forbidden(let text): return APIAnswer.error(.forbidden, text)
        case .unknown: return APIAnswer.error(.serviceUnavailable, "the token cannot be checked now")
        }
    }

    /// HEAD of a watch is HEAD of the list: a stream without a body would tell nothing.
    private static func wantsWatch(_ request: APIRequest) throws -> Bool {
        switch request.parameter("watch") {
        case nil, "false", "0": return false
        case "true", "1": return request.method != .head
        case .some(let other):
            throw APIBadRequest(text: "watch is true or false, not \(other.prefix(32))")
        }
    }
}

/// What a client asked wrongly.
struct APIBadRequest: Error {
    var text: String
}

extension SessionInfo {
    /// Whether a watcher is told: byte counters always move, and are as they were when something else changed.
    func differs(from other: SessionInfo) -> Bool {
        var other = other
        other.bytesReceived = bytesReceived
        other.bytesSent = bytesSent
        return self != other
    }
}
