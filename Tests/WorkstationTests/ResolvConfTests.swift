import Testing

@testable import Workstation

@Suite struct ResolvConfTests {
    private static let original = """
        # by DHCP
        domain lan
        search example.com example.org
        nameserver 192.0.2.53\t
          nameserver 2001:db8::53
        nameserver fe80::1%eth0
        options rotate timeout:3
        options edns0
        """

    private func block(_ name: String, _ server: String, keepsServers: Bool = true) throws -> ResolvConf.Block {
        ResolvConf.Block(
            name: name, server: try #require(NetworkAddress(server)),
            searchDomains: ["\(name).svc.cluster.local", "svc.cluster.local"], keepsServers: keepsServers)
    }

    private func text(_ file: ResolvConf) -> String { String(decoding: file.bytes, as: UTF8.self) }

    /// What a resolver makes of it.
    private func effective(_ file: ResolvConf) -> [String] {
        text(file).split(separator: "\n").map { String($0) }.filter { !$0.hasPrefix("#") }
    }

    @Test func readsWhatResolversRead() {
        let file = ResolvConf(parsing: Array(Self.original.utf8))
        #expect(file.servers().map(\.description) == ["192.0.2.53", "2001:db8::53"])
        #expect(file.baseSearchDomains == ["example.com", "example.org"])
        #expect(file.baseOptions == ["rotate", "timeout:3", "edns0"])
        #expect(text(file) == Self.original)
    }

    @Test func putsOursFirst() throws {
        var file = ResolvConf(parsing: Array("nameserver 192.0.2.53\nsearch lan\noptions rotate edns0\n".utf8))
        file.blocks = [try block("default", "198.18.0.1")]
        #expect(
            effective(file) == [
                "nameserver 198.18.0.1", "search default.svc.cluster.local svc.cluster.local lan", "options edns0",
                "nameserver 192.0.2.53",
            ])
        file.blocks[0].keepsServers = false
        #expect(effective(file).filter { $0.hasPrefix("nameserver") } == ["nameserver 198.18.0.1"])
    }

    @Test(arguments: [
        ResolvConfTests.original, "", "\n", "nameserver 192.0.2.1", "nameserver 192.0.2.1\r\n\r\n# no end",
        "#telepresence\n# telepresence\n# telepresence end x\n",
    ])
    func whatItWasIsInIt(original: String) throws {
        for origin in [ResolvConf.Origin.file, .nothing, .link("../run/with space/resolv.conf")] {
            for keeps in [true, false] {
                var file = ResolvConf(base: Array(original.utf8), origin: origin)
                file.blocks = [try block("a", "198.18.1.1", keepsServers: keeps), try block("b", "198.18.0.1")]
                let parsed = ResolvConf(parsing: file.bytes)
                #expect(parsed == file)
                #expect(parsed.base == Array(original.utf8))
            }
        }
    }

    @Test func bytesThatAreNoTextStay() throws {
        var file = ResolvConf(base: [0x23, 0xe4, 0xff, 0x0a, 0x00, 0x0a])
        file.blocks = [try block("a", "198.18.1.1")]
        #expect(ResolvConf(parsing: file.bytes).base == [0x23, 0xe4, 0xff, 0x0a, 0x00, 0x0a])
    }

    @Test func sessionsLieOnTopOfEachOther() throws {
        var file = ResolvConf(parsing: Array(Self.original.utf8))
        file.blocks = [try block("b", "198.18.1.1"), try block("a", "198.18.0.1")]
        #expect(file.servers().map(\.description).prefix(3) == ["198.18.1.1", "198.18.0.1", "192.0.2.53"])
        #expect(file.servers(below: "b").first?.description == "198.18.0.1")
        #expect(file.servers(below: "a").first?.description == "192.0.2.53")
        // One search line, and it is the last that counts.
        let search = effective(file).filter { $0.hasPrefix("search") || $0.hasPrefix("domain") }
        #expect(
            search == [
                "search b.svc.cluster.local svc.cluster.local a.svc.cluster.local example.com example.org"
            ])
        for name in ["a", "b"] {
            var parsed = ResolvConf(parsing: file.bytes)
            parsed.blocks.removeAll { $0.name == name }
            let search = effective(parsed).filter { $0.hasPrefix("search") }
            #expect(search.count == 1)
            #expect(search[0].contains(name == "a" ? "b.svc" : "a.svc"))
            parsed.blocks = []
            #expect(text(parsed) == Self.original)
        }
    }

    @Test func whatOthersAddAroundOursStays() throws {
        var file = ResolvConf(base: Array("nameserver 192.0.2.1\n".utf8))
        file.blocks = [try block("a", "198.18.0.1")]
        var parsed = ResolvConf(parsing: Array("nameserver 192.0.2.7\n".utf8) + file.bytes + Array("options x\n".utf8))
        #expect(parsed.blocks == file.blocks)
        parsed.blocks = []
        #expect(text(parsed) == "nameserver 192.0.2.7\nnameserver 192.0.2.1\noptions x\n")
    }

    @Test func aBlockWithoutAnEndIsNoReasonToLoseTheRest() {
        let text = "# telepresence begin a 198.18.0.1 keeps\nnameserver 192.0.2.1\n"
        let file = ResolvConf(parsing: Array(text.utf8))
        #expect(file.blocks.isEmpty)
        #expect(file.servers().map(\.description) == ["192.0.2.1"])
    }

    @Test func aNamespaceHasOneServer() throws {
        let outside = ResolvConf(parsing: Array(Self.original.utf8))
        let bytes = ResolvConf.namespaced(
            server: try #require(NetworkAddress("198.18.0.1")), searchDomains: ["svc.cluster.local"], outside: outside)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "nameserver 198.18.0.1\nsearch svc.cluster.local example.com example.org\noptions timeout:3 edns0\n")
    }
}
