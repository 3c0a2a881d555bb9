import Kubernetes
import Testing

struct ObjectStreamTests {
    private func read(_ text: String) throws -> ObjectStream {
        try ObjectStream(reading: text, file: "services.yaml")
    }

    @Test func readsTheYAMLThatKubectlPrints() throws {
        let stream = try read(KubectlOutput.yaml)
        #expect(stream.diagnostics.isEmpty)
        try #require(stream.objects.count == 5)
        guard case .service(let hello) = stream.objects[0], case .service(let database) = stream.objects[1],
            case .service(let mail) = stream.objects[2], case .endpointSlice(let slice) = stream.objects[3],
            case .endpointSlice(let empty) = stream.objects[4]
        else {
            Issue.record("\(stream.objects)")
            return
        }
        #expect(hello.metadata.qualifiedName == "default/hello")
        #expect(hello.metadata.labels == ["app": "hello"])
        #expect(hello.metadata.source?.line == 3)
        #expect(hello.clusterIPs.map(\.description) == ["10.43.120.7", "fd00:43::7"])
        #expect(
            hello.ports == [
                .init(name: "http", port: 80, targetPort: .name("web")), .init(name: "metrics", port: 9090),
            ])
        #expect(hello.selector == ["app": "hello"])
        #expect(!hello.isHeadless)

        #expect(database.isHeadless)
        #expect(database.clusterIPs.isEmpty)
        #expect(database.publishNotReadyAddresses)

        #expect(mail.type == .externalName)
        #expect(mail.externalName == "smtp.example.com")

        #expect(slice.serviceName == "hello")
        #expect(slice.endpoints.map(\.addresses) == [[.v4(0x0a2a_0005)], [.v4(0x0a2a_0006)]])
        #expect(slice.endpoints[0].targetRef?.name == "hello-6d4cf56db6-2kqzv")
        #expect(slice.endpoints[1].conditions == .init(ready: false, serving: true, terminating: true))
        #expect(slice.ports == [.init(name: "metrics", port: 9090), .init(name: "http", port: 8080)])
        #expect(empty.endpoints.isEmpty && empty.ports.isEmpty)
    }

    @Test func readsTheJSONThatKubectlPrints() throws {
        let stream = try read(KubectlOutput.json)
        try #require(stream.objects.count == 2)
        guard case .service(let service) = stream.objects[0], case .endpoints(let endpoints) = stream.objects[1] else {
            Issue.record("\(stream.objects)")
            return
        }
        #expect(service.clusterIPs == [.v4(0x0a2b_7807)])
        #expect(service.ports == [.init(port: 80, targetPort: .number(8080))])
        #expect(endpoints.metadata.source?.line == 35)
        #expect(
            endpoints.subsets == [
                .init(
                    addresses: [
                        .init(
                            ip: .v4(0x0a2a_0005), hostname: "hello-0",
                            targetRef: .init(kind: "Pod", name: "hello-0", namespace: "default"))
                    ], notReadyAddresses: [.init(ip: .v4(0x0a2a_0006))], ports: [.init(port: 8080)])
            ])
    }

    @Test func readsSlicesOfOlderClusters() throws {
        guard case .endpointSlice(let slice)? = try read(KubectlOutput.beta).objects.first else {
            Issue.record("no slice")
            return
        }
        #expect(slice.endpoints[0].hostname == "db-0")
        // An absent `serving` is as `ready`.
        #expect(slice.endpoints[0].conditions == .init(ready: true, serving: true, terminating: false))
        #expect(slice.ports == [.init(name: "", port: 5432)])
    }

    @Test func readsTypedListsWhoseItemsDoNotSayWhatTheyAre() throws {
        let stream = try read(KubectlOutput.serviceList)
        #expect(stream.objects.map(\.metadata.qualifiedName) == ["x/a"])
    }

    @Test(arguments: [
        // Documents of YAML.
        (KubectlOutput.beta + "\n---\n" + KubectlOutput.beta + "\n...\n---\n# nothing\n", 2),
        // JSON values one behind the other, as two runs of kubectl leave them.
        (KubectlOutput.json + KubectlOutput.json, 4),
        (KubectlOutput.serviceList + KubectlOutput.serviceList, 2),
        // Mixed.
        (KubectlOutput.json + "---\n" + KubectlOutput.beta, 3),
        (KubectlOutput.beta + "\n---\n" + KubectlOutput.json, 3),
        (KubectlOutput.yaml.split(separator: "\n").joined(separator: "\r\n"), 5),
        ("\u{feff}" + KubectlOutput.serviceList, 1),
        ("", 0), ("# nothing\n", 0), ("---\n---\n", 0),
        ("kind: List\napiVersion: v1\nitems: []\n", 0), ("kind: List\napiVersion: v1\n", 0),
    ])
    func readsStreams(text: String, count: Int) throws {
        #expect(try read(text).objects.count == count)
    }

    @Test func countsLinesThroughAStreamOfJSON() throws {
        let stream = try read(KubectlOutput.json + "\n\n" + KubectlOutput.serviceList)
        let lines = KubectlOutput.json.count { $0 == "\n" }
        #expect(stream.objects.last?.metadata.source == SourceLocation(file: "services.yaml", line: lines + 3))
    }

    @Test func skipsOtherKindsAloud() throws {
        let stream = try read(
            """
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              name: hello
              namespace: shop
            ---
            apiVersion: serving.knative.dev/v1
            kind: Service
            metadata:
              name: fn
            """)
        #expect(stream.objects.isEmpty)
        #expect(
            stream.diagnostics.map(\.description) == [
                "services.yaml:1: skipped Deployment shop/hello: only Service, EndpointSlice and Endpoints are used",
                "services.yaml:7: skipped Service default/fn: apiVersion serving.knative.dev/v1 is not known",
            ])
    }

    @Test(arguments: zip(MalformedInput.texts, MalformedInput.complaints))
    func namesTheLineAndWhatWasExpected(text: String, complaint: String) {
        let error = #expect(throws: InputError.self) { try read(text) }
        #expect(error?.description == "services.yaml:" + complaint)
    }

    @Test func namesTheLineThatIsNotUTF8() {
        let error = #expect(throws: InputError.self) {
            try ObjectStream(reading: Array("kind: List\n# ".utf8) + [0xff, 0x0a], file: "a.yaml")
        }
        #expect(error?.description == "a.yaml:2: this line is not UTF-8; expected text in UTF-8")
    }

    @Test func complaintsAreOneLineWhateverStandsThere() {
        let error = #expect(throws: InputError.self) {
            try read("apiVersion: v1\nkind: Service\nmetadata:\n  name: \"a\\nb\\e[31m\"\nspec: {}\n")
        }
        #expect(error?.description.contains { $0.isNewline || $0 == "\u{1b}" } == false)
        #expect(error?.location.line == 4)
    }

    /// Anything a person may do to a file leaves objects or one complaint: each prefix, and each byte changed.
    @Test func neverTraps() {
        for text in [KubectlOutput.beta, KubectlOutput.json] {
            let bytes = Array(text.utf8)
            var random = SeededRandom(seed: 1)
            for _ in 0..<300 {
                var changed = bytes
                let position = Int(random.next() % UInt64(bytes.count))
                changed[position] = UInt8(truncatingIfNeeded: random.next())
                if random.next() % 2 == 0 { changed = Array(changed[..<position]) }
                _ = try? ObjectStream(reading: changed, file: "f")
            }
        }
    }
}

struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
