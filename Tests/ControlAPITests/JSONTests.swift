import ControlAPI
import Testing

@Suite struct JSONTests {
    @Test func theWireFormOfAService() throws {
        let service = ServiceInfo(
            name: "hello", namespace: "default", clusterIPs: ["10.43.0.7"],
            ports: [.init(name: "http", port: 80, targetPort: "8080")], endpoints: .init(ready: 2, total: 3))
        let text = try JSON.encode(WatchEvent(.added, service))
        #expect(
            text == """
                {"object":{"clusterIPs":["10.43.0.7"],"endpoints":{"ready":2,"total":3},"name":"hello",\
                "namespace":"default","ports":[{"name":"http","port":80,"protocol":"TCP","targetPort":"8080"}],\
                "type":"ClusterIP"},"type":"ADDED"}
                """)
        #expect(try JSON.decode(WatchEvent<ServiceInfo>.self, from: text) == WatchEvent(.added, service))
    }

    @Test func whatCannotBeToldInALineIsEscaped() throws {
        let text = try JSON.encode(ErrorInfo("a\nb \"c\" /d \u{0} ü"))
        #expect(!text.contains("\n"))
        #expect(try JSON.decode(ErrorInfo.self, from: text).error == "a\nb \"c\" /d \u{0} ü")
    }

    @Test(arguments: ["", "{", "[]", #"{"error":1}"#, "nul"])
    func whatIsNotTheModelIsRefused(text: String) {
        #expect(throws: (any Error).self) { try JSON.decode(ErrorInfo.self, from: text) }
    }

    @Test func largeCountersSurvive() throws {
        let session = SessionInfo(id: .max, user: "u", bytesReceived: .max)
        #expect(try JSON.decode(SessionInfo.self, from: JSON.encode(session)) == session)
    }
}
