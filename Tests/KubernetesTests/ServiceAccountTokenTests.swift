import Kubernetes
import Testing

@Suite("Service accounts' tokens, as they say of themselves")
struct ServiceAccountTokenTests {
    /// {"alg":"RS256","kid":"k"} and {"aud":["traffic-manager"],"exp":1000,"iss":"https://cluster","nbf":500}, `sig`.
    private static let text =
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ."
        + "eyJhdWQiOlsidHJhZmZpYy1tYW5hZ2VyIl0sImV4cCI6MTAwMCwiaXNzIjoiaHR0cHM6Ly9jbHVzdGVyIiwibmJmIjo1MDB9.c2ln"

    private static func problem(
        audience: String = "traffic-manager", issuer: String = "https://cluster", now: Int64 = 900
    ) throws -> String? {
        try #require(ServiceAccountToken(text)).problem(audience: audience, issuer: issuer, now: now)
    }

    @Test("its parts")
    func parts() throws {
        let token = try #require(ServiceAccountToken(Self.text))
        #expect(token.algorithm == "RS256")
        #expect(token.keyID == "k")
        #expect(token.signature == Array("sig".utf8))
        #expect(token.signed == Array(Self.text.dropLast(5).utf8))
    }

    @Test("it is good for one audience, of one issuer, for a time")
    func problems() throws {
        #expect(try Self.problem() == nil)
        #expect(try Self.problem(audience: "api") == "the token is not one for api")
        #expect(try Self.problem(issuer: "https://other") == "the token is another cluster's")
        #expect(try Self.problem(now: 1000) == "the token has expired")
        #expect(try Self.problem(now: 100) == "the token is not valid yet")
    }

    @Test("what is none", arguments: ["", "a.b", "a.b.c.d", "....", "e30.e30.%", "e30.e30.c2ln", "W10.W10.c2ln"])
    func none(text: String) {
        #expect(ServiceAccountToken(text) == nil)
    }
}
