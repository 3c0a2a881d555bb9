import Testing

@testable import DNS

struct StubRoutingTests {
    private static var routing: StubRouting {
        var routing = StubRouting(domain: "cluster.local", namespace: "dev")
        routing.namespaces.insert("prod")
        routing.suffixes = ["corp.example", "42.10.in-addr.arpa"]
        routing.excluded = ["public.corp.example"]
        routing.mappings = ["db.test": "postgres.prod", "search.test": "www.example.com"]
        return routing
    }

    @Test(
        arguments: [
            ("hello", "hello.dev.svc.cluster.local"), ("Hello.PROD", "Hello.PROD.svc.cluster.local"),
            ("hello.prod.svc", "hello.prod.svc.cluster.local"), ("db-0.db.prod", "db-0.db.prod.svc.cluster.local"),
            ("_http._tcp.hello.dev", "_http._tcp.hello.dev.svc.cluster.local"),
        ] as [(Name, Name)])
    func shortNamesAreMadeWholeAndMayBeOfTheOutside(asked: Name, wanted: Name) {
        #expect(Self.routing.place(of: asked) == .cluster(wanted, fallsBack: true))
    }

    @Test(
        arguments: ["hello.dev.svc.cluster.local", "cluster.local", "x.CORP.example", "7.0.42.10.in-addr.arpa"]
            as [Name])
    func namesOfTheClusterAreNobodyElses(name: Name) {
        #expect(Self.routing.place(of: name) == .cluster(name, fallsBack: false))
    }

    @Test(
        arguments: [
            "example.com", "hello.example", "x.public.corp.example", "7.0.43.10.in-addr.arpa", "notcluster.local", ".",
        ] as [Name])
    func otherNamesAreOfTheOutside(name: Name) {
        #expect(Self.routing.place(of: name) == .outside(name))
    }

    @Test(arguments: ["wpad", "WPAD.dev.svc.cluster.local"] as [Name])
    func nobodyIsAskedForAProxy(name: Name) {
        #expect(Self.routing.place(of: name) == .nowhere)
    }

    @Test func mappingsLeadToOtherNames() {
        #expect(
            Self.routing.place(of: "DB.test") == .cluster("postgres.prod.svc.cluster.local", fallsBack: false))
        #expect(Self.routing.place(of: "search.test") == .outside("www.example.com"))
    }

    @Test func aNameThatBecomesTooLongIsOfTheOutside() throws {
        let label = String(repeating: "a", count: 63)
        let name = try Name("\(label).\(label).\(label).\(String(repeating: "a", count: 50)).prod")
        #expect(Self.routing.place(of: name) == .outside(name))
    }
}
