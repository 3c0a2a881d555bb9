import ControlAPI
import Testing

@testable import TrafficManager

@Suite struct OpenAPIDocumentTests {
    private struct Document: Decodable {
        struct Info: Decodable { var version: String }
        struct Path: Decodable {
            var get: Operation?
            var post: Operation?
        }
        struct Operation: Decodable {
            var parameters: [Parameter]?
            var responses: [String: Ignored]
        }
        struct Parameter: Decodable {
            var name: String?
            var reference: String?

            enum CodingKeys: String, CodingKey {
                case name
                case reference = "$ref"
            }
        }
        struct Ignored: Decodable {}
        struct Components: Decodable { var schemas: [String: Schema] }
        struct Schema: Decodable {
            var required: [String]
            var properties: [String: Ignored]
        }

        var openapi: String
        var info: Info
        var paths: [String: Path]
        var components: Components
    }

    private func document() throws -> Document { try JSON.decode(Document.self, from: OpenAPIDocument.json) }

    private var routes: [APIRoute] {
        APIRoutes(
            overview: ManagerOverview(egress: "any", now: { 0 }, services: { [] }), watchInterval: .seconds(1)
        ).all
    }

    @Test func describesTheRoutesThereAre() throws {
        let document = try document()
        #expect(document.openapi == "3.1.0")
        #expect(document.info.version == ManagerVersion.string)
        #expect(Set(document.paths.keys) == Set(routes.map(\.path)))
        for route in routes {
            let path = try #require(document.paths[route.path])
            let operation = try #require("\(route.method)" == "GET" ? path.get : path.post)
            let parameters = (operation.parameters ?? []).map { parameter in
                parameter.name ?? String(parameter.reference?.split(separator: "/").last ?? "")
            }
            #expect(parameters.sorted() == route.parameters.sorted(), "\(route.path)")
            #expect(operation.responses.keys.contains("403") == (route.audience != .everyone), "\(route.path)")
            #expect(operation.responses.keys.contains("400") == !route.parameters.isEmpty, "\(route.path)")
        }
    }

    @Test func describesTheModelsAsTheyAre() throws {
        let version = ManagerVersion.info
        try check("VersionInfo", version)
        try check("ErrorInfo", ErrorInfo(""))
        try check("ServiceInfo", APIServerTests.hello)
        try check("ServicePort", try #require(APIServerTests.hello.ports.first))
        try check("ClusterInfo", ClusterInfo())
        try check("Endpoints", APIServerTests.hello.endpoints)
        try check("SessionInfo", SessionInfo(id: 1, user: ""))
        try check("ManagerStatus", ManagerStatus(version: version, startedAt: 0, uptimeSeconds: 0, egress: ""))
        try check("ServiceEvent", WatchEvent(.added, APIServerTests.hello))
        let intercept = InterceptInfo(
            id: "", workload: "", namespace: "", kind: "", port: 80, transport: "TCP", mode: .intercept, filter: "",
            holder: "", session: 1, state: .active, text: "", since: 0)
        try check("InterceptInfo", intercept, optional: ["session", "text"])
        let workload = WorkloadInfo(
            kind: "", name: "", namespace: "", services: [], agents: 0, problem: "", intercepts: [])
        try check("WorkloadInfo", workload, optional: ["problem"])
        try check("SessionEvent", WatchEvent(.added, SessionInfo(id: 1, user: "")))
        #expect(try document().components.schemas.count == 12)
    }

    private func check(_ name: String, _ value: some Encodable, optional: Set<String> = []) throws {
        let schema = try #require(try document().components.schemas[name])
        let keys = try JSON.decode([String: Document.Ignored?].self, from: JSON.encode(value)).keys.sorted()
        #expect(schema.properties.keys.sorted() == keys, "\(name)")
        #expect(schema.required.sorted() == keys.filter { !optional.contains($0) }, "\(name)")
    }

    @Test func everyReferenceLeadsSomewhere() throws {
        let root = try JSONValue.parse(OpenAPIDocument.json)
        for reference in root.references {
            #expect(root.value(at: reference) != nil, "\(reference)")
        }
        #expect(root.references.count > 20)
    }
}

/// Any JSON value, for walking.
indirect enum JSONValue: Decodable {
    case object([String: JSONValue])
    case array([JSONValue])
    case string(String)
    case other

    static func parse(_ text: String) throws -> JSONValue { try JSON.decode(Self.self, from: text) }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let object = try? container.decode([String: JSONValue].self) {
            self = .object(object)
        } else if let array = try? container.decode([JSONValue].self) {
            self = .array(array)
        } else if let string = try? container.decode(String.self) {
            self = .string(string)
        } else {
            self = .other
        }
    }

    var references: [String] {
        switch self {
        case .object(let members):
            members.flatMap { key, value -> [String] in
                if key == "$ref", case .string(let target) = value { return [target] }
                return value.references
            }
        case .array(let items): items.flatMap(\.references)
        case .string, .other: []
        }
    }

    /// `#/components/schemas/X`
    func value(at reference: String) -> JSONValue? {
        reference.split(separator: "/").dropFirst().reduce(self as JSONValue?) { value, key in
            guard case .object(let members)? = value else { return nil }
            return members[String(key)]
        }
    }
}
