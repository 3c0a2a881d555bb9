import DNS
import Kubernetes
import NIOCore
import Testing

@testable import TrafficManager

struct ClusterDNSTests {
    private func answer(_ query: Message, clusterDomain: String = "cluster.local") throws -> Message {
        let snapshot = try ClusterFixture.snapshot(clusterDomain: clusterDomain)
        let bytes = try #require(ClusterDNS.answer(query: query.encoded(), snapshot: snapshot))
        return try Message(reading: bytes)
    }

    private func ask(_ name: String, _ type: RecordType) throws -> Message {
        try answer(
            Message(header: Header(id: 7, flags: 0x0100), questions: [Question(name: try Name(name), type: type)]))
    }

    /// What a table can say about a record.
    private func show(_ record: ResourceRecord) -> String {
        switch record.data {
        case .a(let number): "A \(IPAddress.v4(number))"
        case .aaaa(let number): "AAAA \(IPAddress.v6(number))"
        case .cname(let name): "CNAME \(name)"
        case .ptr(let name): "PTR \(name)"
        case .ns(let name): "NS \(name)"
        case .srv(let srv): "SRV \(srv.priority) \(srv.weight) \(srv.port) \(srv.target)"
        case .txt(let strings): "TXT \(strings.map { String(decoding: $0, as: UTF8.self) })"
        case .soa(let soa): "SOA \(soa.primaryServer)"
        default: "\(record.type)"
        }
    }

    private static let domain = "default.svc.cluster.local"

    @Test(
        arguments: [
            ("hello.\(domain)", .a, ["A 10.43.0.10"]), ("HELLO.\(domain)", .a, ["A 10.43.0.10"]),
            ("hello.\(domain)", .aaaa, ["AAAA fd00:43::10"]),
            // A cluster IP stays, whoever is behind it.
            ("idle.\(domain)", .a, ["A 10.43.0.30"]),
            ("db.\(domain)", .a, ["A 10.42.1.1", "A 10.42.1.2", "A 10.42.1.4"]),
            ("gossip.\(domain)", .a, ["A 10.42.1.9"]),
            ("db-0.db.\(domain)", .a, ["A 10.42.1.1"]), ("10-42-1-4.db.\(domain)", .a, ["A 10.42.1.4"]),
            ("10-42-0-1.default.pod.cluster.local", .a, ["A 10.42.0.1"]),
            ("fd00-42--1.default.pod.cluster.local", .aaaa, ["AAAA fd00:42::1"]),
            ("_http._tcp.hello.\(domain)", .srv, ["SRV 0 100 80 hello.\(domain)."]),
            ("_dns._udp.hello.\(domain)", .srv, ["SRV 0 100 53 hello.\(domain)."]),
            (
                "_sql._tcp.db.\(domain)", .srv,
                [
                    "SRV 0 100 5433 db-0.db.\(domain).", "SRV 0 100 5433 db-1.db.\(domain).",
                    "SRV 0 100 5433 10-42-1-4.db.\(domain).",
                ]
            ),
            ("10.0.43.10.in-addr.arpa", .ptr, ["PTR hello.\(domain)."]),
            ("1.1.42.10.in-addr.arpa", .ptr, ["PTR db-0.db.\(domain)."]),
            (
                "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.4.0.0.0.0.d.f.ip6.arpa", .ptr,
                ["PTR hello.\(domain)."]
            ),
            ("mail.\(domain)", .cname, ["CNAME smtp.example.com."]),
            ("mail.\(domain)", .a, ["CNAME smtp.example.com."]),
            ("mail.\(domain)", .aaaa, ["CNAME smtp.example.com."]),
            ("alias.\(domain)", .a, ["CNAME old.shop.svc.cluster.local.", "A 10.43.0.20"]),
            ("dns-version.cluster.local", .txt, [#"TXT ["1.1.0"]"#]),
            ("cluster.local", .soa, ["SOA ns.dns.cluster.local."]),
            ("cluster.local", .ns, ["NS ns.dns.cluster.local."]),
            ("ns.dns.cluster.local", .a, ["A 10.43.0.53"]),
            // RFC 8482: one record set of those there are.
            ("hello.\(domain)", .any, ["A 10.43.0.10"]),
        ] as [(String, RecordType, [String])])
    func answers(name: String, type: RecordType, records: [String]) throws {
        let response = try ask(name, type)
        #expect(response.answers.map(show) == records)
        #expect(response.responseCode == .noError)
        #expect(response.header.isAuthoritative)
        #expect(response.authorities.isEmpty)
        #expect(response.answers.allSatisfy { $0.timeToLive == 5 })
        #expect(response.answers.first?.name == (try Name(name)))
    }

    /// The name is there, the type is not: NODATA, so that a client goes on with the other family.
    @Test(
        arguments: [
            ("old.shop.svc.cluster.local", .aaaa), ("hello.\(domain)", .srv), ("hello.\(domain)", .txt),
            ("db.\(domain)", .aaaa), ("db-0.db.\(domain)", .aaaa), ("_http._tcp.hello.\(domain)", .a),
            ("dns-version.cluster.local", .a), ("cluster.local", .a), ("10.0.43.10.in-addr.arpa", .a),
            // Names that are there because of others below them.
            ("_tcp.hello.\(domain)", .srv), ("_udp.hello.\(domain)", .a), (domain, .a), ("svc.cluster.local", .a),
            ("pod.cluster.local", .a), ("default.pod.cluster.local", .a), ("dns.cluster.local", .a),
            ("0.43.10.in-addr.arpa", .ptr),
            ("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.4.0.0.0.0.d.f.ip6.arpa", .ptr),
        ] as [(String, RecordType)])
    func answersNoData(name: String, type: RecordType) throws {
        let response = try ask(name, type)
        #expect(response.responseCode == .noError)
        #expect(response.answers.isEmpty)
        #expect(response.header.isAuthoritative)
        #expect(response.authorities.map(\.type) == [.soa])
    }

    @Test(arguments: [
        "nope.\(domain)", "hello.shop.svc.cluster.local", "hello.nowhere.svc.cluster.local",
        "nowhere.svc.cluster.local",
        "x.cluster.local", "a.b.c.d.e.svc.cluster.local", "nope.hello.\(domain)", "_nope._tcp.hello.\(domain)",
        "_sctp.hello.\(domain)", "_http._udp.hello.\(domain)", "db-2.db.\(domain)",
        "169-254-169-254.default.pod.cluster.local", "10-42-0-1.shop.pod.cluster.local", "11.0.43.10.in-addr.arpa",
        "1.10.0.43.10.in-addr.arpa", "x.0.43.10.in-addr.arpa", #"hello\.default.svc.cluster.local"#,
    ])
    func answersNoSuchName(name: String) throws {
        for type in [RecordType.a, .aaaa, .srv, .any] {
            let response = try ask(name, type)
            #expect(response.responseCode == .nameError)
            #expect(response.answers.isEmpty)
            #expect(response.header.isAuthoritative)
            guard case .soa(let soa)? = response.authorities.first?.data else {
                Issue.record("no SOA: \(response)")
                continue
            }
            #expect(soa.minimum == 5)
        }
    }

    @Test(arguments: [
        "example.com", "hello", "hello.default", "local", ".", "8.8.8.8.in-addr.arpa", "43.10.in-addr.arpa",
        "10.in-addr.arpa", "in-addr.arpa", "ip6.arpa", "0.0.0.0.0.3.4.0.0.0.0.d.f.ip6.arpa", "arpa",
        "300.0.43.10.in-addr.arpa.com", "xcluster.local",
    ])
    func refusesWhatIsNotTheClusters(name: String) throws {
        for type in [RecordType.a, .ptr, .any] {
            let response = try ask(name, type)
            #expect(response.responseCode == .refused)
            #expect(response.answers.isEmpty && response.authorities.isEmpty)
            #expect(!response.header.isAuthoritative)
        }
    }

    @Test func addsTheAddressesOfTargets() throws {
        let single = try ask("_http._tcp.hello.default.svc.cluster.local", .srv)
        #expect(single.additionals.map(show) == ["A 10.43.0.10", "AAAA fd00:43::10"])
        let headless = try ask("_sql._tcp.db.default.svc.cluster.local", .srv)
        #expect(headless.additionals.map(show) == ["A 10.42.1.1", "A 10.42.1.2", "A 10.42.1.4"])
        #expect(headless.additionals[0].name == "db-0.db.default.svc.cluster.local")
    }

    @Test func comesToAnEndWithCircles() throws {
        let response = try ask("ring-a.default.svc.cluster.local", .a)
        #expect(
            response.answers.map(show) == [
                "CNAME ring-b.default.svc.cluster.local.", "CNAME ring-a.default.svc.cluster.local.",
            ])
    }

    @Test func repeatsTheQuestionAsItWasAsked() throws {
        // Some resolvers mix the case of a name and check that it comes back.
        let response = try ask("hElLo.dEfAuLt.SVC.cluster.LOCAL", .a)
        #expect(response.questions[0].name.description == "hElLo.dEfAuLt.SVC.cluster.LOCAL.")
        #expect(response.answers[0].name.description == "hElLo.dEfAuLt.SVC.cluster.LOCAL.")
        #expect(response.header.id == 7)
        #expect(response.header.isResponse && response.header.recursionDesired && !response.header.recursionAvailable)
    }

    @Test func answersUnderAnotherDomain() throws {
        let query = Message(questions: [Question(name: "hello.default.svc.k8s.example", type: .a)])
        #expect(try answer(query, clusterDomain: "k8s.example").answers.map(show) == ["A 10.43.0.10"])
    }

    @Test func answersEDNSWithEDNS() throws {
        let question = Question(name: "hello.default.svc.cluster.local", type: .a)
        let options = ByteBuffer(bytes: [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])
        let response = try answer(
            Message(questions: [question], edns: EDNS(payloadSize: 512, dnssecOK: true, options: options)))
        #expect(response.edns == EDNS(dnssecOK: true))
        #expect(try answer(Message(questions: [question])).edns == nil)
        let later = try answer(Message(questions: [question], edns: EDNS(version: 1)))
        #expect(later.responseCode == .badVersion)
        #expect(later.edns?.version == 0 && later.answers.isEmpty)
    }

    @Test(
        arguments: [
            (Header(id: 9, flags: 0x2000), .a, .internet, .notImplemented),
            (Header(id: 9, flags: 0x2800), .soa, .internet, .notImplemented),
            (Header(id: 9), .axfr, .internet, .refused),
            (Header(id: 9), .ixfr, .internet, .refused), (Header(id: 9), .opt, .internet, .formatError),
            (Header(id: 9), .txt, RecordClass(rawValue: 3), .refused), (Header(id: 9), .a, .any, .noError),
        ] as [(Header, RecordType, RecordClass, ResponseCode)])
    func knowsWhatItDoesNotDo(header: Header, type: RecordType, recordClass: RecordClass, code: ResponseCode) throws {
        let question = Question(name: "hello.default.svc.cluster.local", type: type, recordClass: recordClass)
        let response = try answer(Message(header: header, questions: [question]))
        #expect(response.responseCode == code)
        #expect(response.header.id == 9 && response.header.isResponse)
        #expect(response.header.opcode == header.opcode)
    }

    @Test func answersWhatIsMalformedWithItsIdAlone() throws {
        let snapshot = try ClusterFixture.snapshot()
        let question = Question(name: "hello.default.svc.cluster.local", type: .a)
        let good = try Message(header: Header(id: 9), questions: [question]).encoded()
        let bad: [ByteBuffer] = [
            good.getSlice(at: 0, length: 20) ?? ByteBuffer(), ByteBuffer(bytes: Array(good.readableBytesView) + [0]),
            try Message(header: Header(id: 9)).encoded(),
            try Message(header: Header(id: 9), questions: [question, question]).encoded(),
        ]
        for bytes in bad {
            let response = try Message(reading: try #require(ClusterDNS.answer(query: bytes, snapshot: snapshot)))
            #expect(response.responseCode == .formatError)
            #expect(response.header.id == 9)
        }
    }

    @Test func doesNotAnswerAnswers() throws {
        let snapshot = try ClusterFixture.snapshot()
        let response = try Message(header: Header(id: 9, flags: 0x8000)).encoded()
        #expect(ClusterDNS.answer(query: response, snapshot: snapshot) == nil)
        #expect(ClusterDNS.answer(query: ByteBuffer(repeating: 0, count: 11), snapshot: snapshot) == nil)
    }

    @Test func saysWhenAnAnswerIsCutShort() throws {
        let endpoints = (0..<1000).map { "10.42.\(100 + $0 / 200).\(1 + $0 % 200)" }
        let snapshot = try ClusterFixture.snapshot(
            ClusterFixture.service("many", clusterIP: "None", endpoints: endpoints))
        let query = try Message(questions: [Question(name: "many.default.svc.cluster.local", type: .a)]).encoded()
        let whole = try Message(reading: try #require(ClusterDNS.answer(query: query, snapshot: snapshot)))
        #expect(whole.answers.count == 1000 && !whole.header.isTruncated)
        let cut = try #require(ClusterDNS.answer(query: query, snapshot: snapshot, maximumLength: 512))
        #expect(cut.readableBytes <= 512)
        #expect(try Message(reading: cut).header.isTruncated)
    }

    /// Whatever comes gets an answer to its id, or none; it never stops the server.
    @Test func neverTrapsOnMutatedQueries() throws {
        let snapshot = try ClusterFixture.snapshot()
        let queries = try [
            Message(questions: [Question(name: "_sql._tcp.db.default.svc.cluster.local", type: .srv)], edns: EDNS()),
            Message(questions: [Question(name: "10.0.43.10.in-addr.arpa", type: .ptr)]),
            Message(
                questions: [
                    Question(
                        name: "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.4.0.0.0.0.d.f.ip6.arpa", type: .any)
                ]),
        ].map { Array(try $0.encoded().readableBytesView) }
        var random = SeededGenerator(state: 0x5eed)
        for round in 0..<10_000 {
            var bytes = queries[round % queries.count]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 2..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard let answer = ClusterDNS.answer(query: ByteBuffer(bytes: bytes), snapshot: snapshot) else { continue }
            if try Message(reading: answer).header.isResponse == false { Issue.record("\(bytes)") }
        }
    }
}

/// SplitMix64: the same numbers in each run.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
