import AsyncHTTPClient
import FoundationEssentials
package import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOSSL

/// The API of one cluster. Every failure is a `KubernetesError`.
package final class KubernetesClient: Sendable {
    /// Objects a list brings at once: no list is held whole.
    private static let pageSize = 500
    /// One page, or one object: etcd takes no object above 1.5 MiB.
    private static let maximumBody = 64 << 20
    private static let requestTimeout = TimeAmount.seconds(30)
    private static let connectTimeout = TimeAmount.seconds(10)
    /// A server is asked to end a watch after so long; then it is begun anew where it ended.
    private static let watchSeconds = 300
    private static let fieldManager = "telepresence"

    package let access: ClusterAccess
    package let credentials: CredentialSource
    private let http: HTTPClient

    package init(_ access: ClusterAccess, group: any EventLoopGroup) throws(KubernetesError) {
        self.access = access
        credentials = CredentialSource(access)
        var configuration = HTTPClient.Configuration()
        configuration.timeout.connect = Self.connectTimeout
        configuration.tlsConfiguration = try ClusterTLS.configuration(access)
        configuration.redirectConfiguration = .disallow
        configuration.connectionPool.retryConnectionEstablishment = false
        if let proxy = access.proxy {
            configuration.proxy =
                switch proxy.kind {
                case .http:
                    .server(
                        host: proxy.host, port: proxy.port,
                        authorization: proxy.credentials.map { .basic(credentials: $0) })
                case .socks5: .socksServer(host: proxy.host, port: proxy.port)
                }
        }
        if let name = access.tlsServerName, let host = ClusterTLS.host(of: access.server) {
            configuration.dnsOverride = [name: host]
        }
        http = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
    }

    package func shutDown() async { try? await http.shutdown() }

    // MARK: Requests

    private var base: String {
        guard let name = access.tlsServerName, let place = ClusterTLS.authority(of: access.server) else {
            return access.server
        }
        return "\(place.isTLS ? "https" : "http")://\(name):\(place.port)\(place.path)"
    }

    private func send(
        _ method: HTTPMethod, _ path: String, _ body: Data? = nil, type: String = "application/json",
        deadline: NIODeadline
    ) async throws(KubernetesError) -> HTTPClientResponse {
        var request = HTTPClientRequest(url: base + path)
        request.method = method
        request.headers.add(name: "accept", value: "application/json, */*;q=0.5")
        request.headers.add(name: "user-agent", value: "telepresence")
        if let body {
            request.headers.add(name: "content-type", value: type)
            request.body = .bytes(ByteBuffer(data: body))
        }
        ClusterTLS.impersonate(access.impersonation, &request.headers)
        for isLast in [false, true] {
            request.headers.remove(name: "authorization")
            if let value = try await credentials.authorization() {
                request.headers.add(name: "authorization", value: value)
            }
            do {
                let response = try await http.execute(request, deadline: deadline)
                guard response.status == .unauthorized, !isLast else { return response }
                _ = try? await response.body.collect(upTo: Self.maximumBody)
                credentials.forget()
            } catch {
                throw KubernetesError(.unreachable, "\(access.way) cannot be reached: \(ClusterTLS.text(error))")
            }
        }
        throw KubernetesError(.unauthorized, "the API server does not believe the credentials")
    }

    private func answer(
        _ method: HTTPMethod, _ path: String, _ response: HTTPClientResponse
    ) async throws(KubernetesError) -> Data {
        let body: Data
        do {
            body = Data(buffer: try await response.body.collect(upTo: Self.maximumBody))
        } catch {
            throw KubernetesError(.unreachable, "\(access.server): \(ClusterTLS.text(error))")
        }
        guard (200..<300).contains(Int(response.status.code)) else {
            throw KubernetesError(
                status: Int(response.status.code), body: try? JSONDecoder().decode(JSONValue.self, from: body),
                verb: method.rawValue, path: path)
        }
        return body
    }

    /// Asks, and reads the answer.
    @discardableResult
    package func request<Answer: Decodable>(
        _ method: String, _ path: String, body: JSONValue? = nil, type: String = "application/json",
        as: Answer.Type = JSONValue.self
    ) async throws(KubernetesError) -> Answer {
        let method = HTTPMethod(rawValue: method)
        do {
            let data = try body.map { try $0.encoded() }
            let response = try await send(method, path, data, type: type, deadline: .now() + Self.requestTimeout)
            return try JSONDecoder().decode(Answer.self, from: try await answer(method, path, response))
        } catch let error as KubernetesError {
            throw error
        } catch {
            throw KubernetesError(.other, "\(method.rawValue) \(path): the answer is not understood: \(error)")
        }
    }

    package func get(_ resource: Resource, _ name: String, namespace: String? = nil) async throws(KubernetesError)
        -> JSONValue
    {
        try await request("GET", resource.path(namespace: namespace, name: name))
    }

    /// Makes an object be as it is said, and only what is said (server-side apply). What somebody else manages is taken
    /// over with `force` alone.
    @discardableResult
    package func apply(_ object: JSONValue, force: Bool = false) async throws(KubernetesError) -> JSONValue {
        guard let resource = object["kind"]?.string.flatMap({ Resource.ofKind[$0] }),
            let name = object["metadata"]?["name"]?.string
        else { throw KubernetesError(.other, "an object without kind or name cannot be applied") }
        let path = resource.path(namespace: object["metadata"]?["namespace"]?.string, name: name)
        return try await request(
            "PATCH", "\(path)?fieldManager=\(Self.fieldManager)&force=\(force)", body: object,
            type: "application/apply-patch+yaml")
    }

    package func create(
        _ resource: Resource, _ object: JSONValue, namespace: String? = nil
    ) async throws(KubernetesError) -> JSONValue {
        try await request("POST", resource.path(namespace: namespace), body: object)
    }

    /// A JSON patch (RFC 6902).

    @discardableResult
    package func patch(_ path: String, _ operations: JSONValue) async throws(KubernetesError) -> JSONValue {
        try await request("PATCH", path, body: operations, type: "application/json-patch+json")
    }

    package func delete(_ resource: Resource, _ name: String, namespace: String? = nil) async throws(KubernetesError) {
        do throws(KubernetesError) {
            try await request("DELETE", resource.path(namespace: namespace, name: name))
        } catch  where error.kind == .notFound {}
    }

    /// Whether the server has a resource in that group and version.
    package func serves(_ plural: String, _ apiVersion: String) async throws(KubernetesError) -> Bool {
        let path = apiVersion.contains("/") ? "/apis/\(apiVersion)" : "/api/\(apiVersion)"
        let answer: JSONValue
        do throws(KubernetesError) {
            answer = try await request("GET", path)
        } catch {
            guard error.kind == .notFound else { throw error }
            return false
        }
        return answer["resources"]?.array.contains { $0["name"]?.string == plural } ?? false
    }

    // MARK: Lists and watches

    private struct Page: Decodable {
        struct Metadata: Decodable {
            var `continue`: String?
            var resourceVersion: String?
        }
        var metadata: Metadata
        var items: [JSONValue]
    }

    private static func query(_ selector: String?, _ field: String?, _ rest: String) -> String {
        let labels = selector.map { "labelSelector=\(encoded($0))&" } ?? ""
        let fields = field.map { "fieldSelector=\(encoded($0))&" } ?? ""
        return "?\(labels)\(fields)\(rest)"
    }

    static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain =
                UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
                || "-._~".utf8.contains(byte)
            return isPlain ? String(Unicode.Scalar(byte)) : (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
        }.joined()
    }

    /// All of a kind, a page after the other; the version from which it can be watched.
    package func list(
        _ resource: Resource, namespace: String? = nil, selector: String? = nil, field: String? = nil,
        page: ([JSONValue]) async throws -> Void
    ) async throws -> String {
        var token = ""
        while true {
            let more = token.isEmpty ? "" : "&continue=\(Self.encoded(token))"
            let path =
                resource.path(namespace: namespace) + Self.query(selector, field, "limit=\(Self.pageSize)\(more)")
            let one = try await request("GET", path, as: Page.self)
            try await page(one.items)
            token = one.metadata.continue ?? ""
            if token.isEmpty { return one.metadata.resourceVersion ?? "0" }
        }
    }

    package func list(
        _ resource: Resource, namespace: String? = nil, selector: String? = nil, field: String? = nil
    ) async throws -> [JSONValue] {
        var all: [JSONValue] = []
        _ = try await list(resource, namespace: namespace, selector: selector, field: field) { all += $0 }
        return all
    }

    private struct Event: Decodable {
        var type: String
        var object: JSONValue
    }

    /// What happens to a kind from a version on, until the server ends it; the version to go on from. Throws `expired` when
    /// it has to be listed anew.
    package func watch(
        _ resource: Resource, namespace: String? = nil, selector: String? = nil, field: String? = nil,
        from version: String, event: (WatchChange) async throws -> Void
    ) async throws -> String {
        let rest = "watch=true&allowWatchBookmarks=true&timeoutSeconds=\(Self.watchSeconds)&resourceVersion=\(version)"
        let path = resource.path(namespace: namespace) + Self.query(selector, field, rest)
        let response = try await send(
            .GET, path, deadline: .now() + .seconds(Int64(Self.watchSeconds + 30)))
        guard response.status == .ok else {
            _ = try await answer(.GET, path, response)
            throw KubernetesError(.other, "GET \(path): the API server answered \(response.status.code)")
        }
        var version = version
        var held = ByteBuffer()
        var ownError: (any Error)?
        do {
            for try await var part in response.body {
                held.writeBuffer(&part)
                while let end = held.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = held.readData(length: end - held.readerIndex) ?? Data()
                    held.moveReaderIndex(forwardBy: 1)
                    let change = try JSONDecoder().decode(Event.self, from: line)
                    if change.type == "ERROR" {
                        throw KubernetesError(
                            status: change.object["code"]?.integer ?? 0, body: change.object, verb: "GET", path: path)
                    }
                    version = change.object["metadata"]?["resourceVersion"]?.string ?? version
                    guard let kind = WatchChange.Kind(rawValue: change.type) else { continue }
                    do {
                        try await event(WatchChange(kind: kind, object: change.object))
                    } catch {
                        ownError = error
                        throw error
                    }
                }
                held.discardReadBytes()
                guard held.readableBytes <= Self.maximumBody else {
                    throw KubernetesError(.other, "GET \(path): a line without an end")
                }
            }
        } catch let error as KubernetesError {
            throw error
        } catch is CancellationError {
            throw CancellationError()
        } catch  where ownError != nil {
            throw error
        } catch let error as HTTPClientError where error == .deadlineExceeded {
            return version
        } catch {
            throw KubernetesError(.unreachable, "\(access.server): \(ClusterTLS.text(error))")
        }
        return version
    }
}
