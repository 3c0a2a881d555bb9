import DNS
import NIOCore
import Testing

struct MessageTests {
    /// One record of every type, with names that share their ends.
    static let everything = Message(
        header: Header(id: 0xbeef, flags: 0x8580),
        questions: [Question(name: "www.Example.com", type: .any)],
        answers: [
            ResourceRecord(name: "www.example.com", timeToLive: 5, data: .a(0x0a2b_0001)),
            ResourceRecord(name: "www.example.com", timeToLive: 5, data: .aaaa(0xfd00 << 112 | 1)),
            ResourceRecord(name: "alias.example.com", timeToLive: 300, data: .cname("www.example.com")),
            ResourceRecord(
                name: "example.com", timeToLive: 300, data: .mx(preference: 10, exchange: "mail.example.com")),
            ResourceRecord(name: "example.com", timeToLive: 0, data: .txt([Array("v=spf1 -all".utf8), []])),
            ResourceRecord(
                name: "_sip._tcp.example.com", timeToLive: UInt32(Int32.max),
                data: .srv(ServiceLocation(priority: 1, weight: 2, port: 5060, target: "sip.example.com"))),
            ResourceRecord(name: "1.0.43.10.in-addr.arpa", timeToLive: 5, data: .ptr("www.example.com")),
            ResourceRecord(
                name: "example.com", recordClass: RecordClass(rawValue: 3), timeToLive: 5,
                data: .unknown(RecordType(rawValue: 65280), ByteBuffer(bytes: [1, 2, 3]))),
        ],
        authorities: [
            ResourceRecord(name: "example.com", timeToLive: 5, data: .ns("ns.example.com")),
            ResourceRecord(
                name: "example.com", timeToLive: 5,
                data: .soa(
                    StartOfAuthority(
                        primaryServer: "ns.example.com", responsible: "hostmaster.example.com", serial: 1, refresh: 2,
                        retry: 3, expire: 4, minimum: 5))),
        ],
        additionals: [ResourceRecord(name: "ns.example.com", timeToLive: 5, data: .a(1))],
        edns: EDNS(
            payloadSize: 1232, extendedResponseCode: 1, dnssecOK: true, options: ByteBuffer(bytes: [0, 10, 0, 0]))
    )

    @Test func readsWhatItWrites() throws {
        let bytes = try Self.everything.encoded()
        #expect(try Message(reading: bytes) == Self.everything)
        #expect(Self.everything.responseCode == ResponseCode(rawValue: 16))
    }

    @Test func keepsTheCaseOfAName() throws {
        let read = try Message(reading: try Self.everything.encoded())
        #expect(read.questions[0].name.description == "www.Example.com.")
    }

    /// Bytes by RFC 1035 §4.1, as `dig` sends them for `hello.test`, with a cookie option.
    @Test func readsAQueryOfDig() throws {
        let bytes: [UInt8] =
            [0x1b, 0x2d, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1] + [5] + Array("hello".utf8) + [4] + Array("test".utf8)
            + [0, 0, 28, 0, 1] + [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]
        let message = try Message(reading: ByteBuffer(bytes: bytes))
        #expect(message.header.id == 0x1b2d)
        #expect(message.header.recursionDesired && message.header.authenticData && !message.header.isResponse)
        #expect(message.questions == [Question(name: "hello.test", type: .aaaa)])
        #expect(message.edns?.payloadSize == 1232)
        #expect(message.edns?.options.readableBytes == 12)
        #expect(try Array(message.encoded().readableBytesView) == bytes)
    }

    @Test func compressesNames() throws {
        let name: Name = "hello.default.svc.cluster.local"
        let message = Message(
            questions: [Question(name: name, type: .a)],
            answers: (0..<10).map { ResourceRecord(name: name, timeToLive: 5, data: .a($0)) })
        // The name once; then a pointer, ten bytes and an address for each record.
        #expect(try message.encoded().readableBytes == 12 + 33 + 4 + 10 * (2 + 10 + 4))
    }

    /// A pointer has fourteen bits: names written further back than that are written out, and still read.
    @Test func doesNotPointBeyondFourteenBits() throws {
        var message = Message()
        for index in 0..<3000 {
            let name = try Name("host-\(index).example.com")
            message.answers.append(ResourceRecord(name: name, timeToLive: 1, data: .a(UInt32(index))))
            message.answers.append(ResourceRecord(name: name, timeToLive: 1, data: .txt([[UInt8(index & 0xff)]])))
        }
        let bytes = try message.encoded(maximumLength: 65_535)
        let read = try Message(reading: bytes)
        #expect(bytes.readableBytes > 0x4000 + 1000)
        #expect(read.answers == Array(message.answers.prefix(read.answers.count)))
    }

    @Test func leavesOutWhatDoesNotFit() throws {
        var message = Message(questions: [Question(name: "a.test", type: .a)], edns: EDNS())
        message.answers = (0..<100).map { ResourceRecord(name: "a.test", timeToLive: 5, data: .a($0)) }
        message.additionals = message.answers
        let whole = try Message(reading: message.encoded())
        #expect(whole.answers.count == 100 && !whole.header.isTruncated)

        let withoutAdditionals = try message.encoded(maximumLength: 12 + 12 + 100 * 16 + 11)
        let first = try Message(reading: withoutAdditionals)
        #expect(first.answers.count == 100 && first.additionals.isEmpty && !first.header.isTruncated)
        #expect(first.edns != nil)

        let datagram = try message.encoded(maximumLength: 512)
        let second = try Message(reading: datagram)
        #expect(datagram.readableBytes <= 512)
        #expect(second.answers.count == (512 - 24 - 11) / 16)
        #expect(second.header.isTruncated && second.additionals.isEmpty && second.edns != nil)

        #expect(throws: DNSError.messageTooLong(24)) { try message.encoded(maximumLength: 30) }
    }

    @Test func refusesTextThatIsTooLong() {
        let record = ResourceRecord(name: ".", timeToLive: 0, data: .txt([Array(repeating: 0, count: 256)]))
        #expect(throws: DNSError.textTooLong) { try Message(answers: [record]).encoded() }
    }

    @Test(
        arguments: [
            // A pointer to itself.
            ([0xc0, 12], DNSError.badPointer),
            // Two that lead to each other.
            ([0xc0, 14, 0xc0, 12], .badPointer),
            // A label, then back to it.
            ([1, 0x61, 0xc0, 12], .badPointer),
            // Forward, into the header, and behind the end.
            ([0xc0, 20], .badPointer), ([0xc0, 0], .badPointer), ([0xff, 0xff], .badPointer),
            ([0x40, 0], .unknownLabelType), ([0x80], .unknownLabelType),
            ([0xc0], .truncated("a name")), ([3, 0x61], .truncated("a label")), ([], .truncated("a name")),
            ([0], .truncated("a question")), ([0, 0, 1, 0, 1, 9], .trailingBytes(1)),
        ] as [([UInt8], DNSError)])
    func refusesQuestions(question: [UInt8], error: DNSError) {
        let bytes: [UInt8] = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0] + question
        #expect(throws: error) { try Message(reading: ByteBuffer(bytes: bytes)) }
    }

    @Test func followsPointersThatLeadBack() throws {
        // `b` at 12; `a` before it; then `a.b` again, by a pointer to a name that ends in a pointer.
        let question: [UInt8] = [0, 1, 0, 1]
        let bytes: [UInt8] =
            [0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0] + [1, 0x62, 0] + question + [1, 0x61, 0xc0, 12] + question
            + [0xc0, 19] + question
        let message = try Message(reading: ByteBuffer(bytes: bytes))
        #expect(message.questions.map(\.name) == ["b", "a.b", "a.b"])
    }

    /// A chain of pointers costs its reader a step for each: it is cut where no honest writer gets.
    @Test func refusesLongChainsOfPointers() {
        #expect(throws: DNSError.badPointer) { try Message(reading: PointerChain.message(length: 200)) }
        #expect(throws: Never.self) { try Message(reading: PointerChain.message(length: 100)) }
    }

    @Test func refusesNamesThatGrowTooLong() {
        // Eight labels of 31 bytes are 256: one too many, reached only through the pointer.
        let label: [UInt8] = [31] + Array(repeating: 0x61, count: 31)
        let four = Array(repeating: label, count: 4).flatMap(\.self)
        let bytes: [UInt8] =
            [0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0] + four + [0, 0, 1, 0, 1] + four + [0xc0, 12, 0, 1, 0, 1]
        #expect(throws: DNSError.nameTooLong) { try Message(reading: ByteBuffer(bytes: bytes)) }
    }

    @Test(
        arguments: [
            (1, [10, 0, 0]), (1, [10, 0, 0, 1, 2]), (28, [UInt8](repeating: 0, count: 15)), (2, [1, 0x61, 0, 9]),
            (16, []),
            (6, [0, 0, 1]), (33, [0, 0, 0, 0, 0, 1]),
        ] as [(UInt16, [UInt8])])
    func refusesDataThatIsNotWhatItsTypeAsksFor(type: UInt16, data: [UInt8]) {
        var bytes = ByteBuffer(bytes: [0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0])
        bytes.writeInteger(type)
        bytes.writeBytes([0, 1, 0, 0, 0, 5])
        bytes.writeInteger(UInt16(data.count))
        bytes.writeBytes(data)
        #expect(throws: DNSError.self) { try Message(reading: bytes) }
    }

    @Test func takesATimeBeyondThirtyOneBitsForZero() throws {
        let bytes: [UInt8] = [
            0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0x80, 0, 0, 0, 0, 4, 10, 0, 0, 1,
        ]
        #expect(try Message(reading: ByteBuffer(bytes: bytes)).answers[0].timeToLive == 0)
    }

    @Test func refusesASecondOPT() throws {
        let option: [UInt8] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]
        let one: [UInt8] = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] + option
        let two: [UInt8] = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2] + option + option
        let answer: [UInt8] = [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0] + option
        #expect(try Message(reading: ByteBuffer(bytes: one)).edns != nil)
        #expect(throws: DNSError.badOPT) { try Message(reading: ByteBuffer(bytes: two)) }
        #expect(throws: DNSError.badOPT) { try Message(reading: ByteBuffer(bytes: answer)) }
    }

    /// What comes from the wire may be anything: it is read or refused, and what is read can be written again.
    @Test func neverTrapsOnMutatedMessages() throws {
        let original = try Array(Self.everything.encoded().readableBytesView)
        var random = SeededRandom(seed: 0x0d15)
        var accepted = 0
        for _ in 0..<10_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) {
                bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
            }
            let buffer = ByteBuffer(bytes: bytes)
            if var raw = try? RawMessage(buffer) {
                _ = try? raw.question()
                _ = try? raw.minimumTimeToLive()
                try? raw.age(by: 3)
            }
            guard let message = try? Message(reading: buffer) else { continue }
            accepted += 1
            guard accepted % 8 == 0 else { continue }
            // Without the macro, which would make a picture of each message.
            if try Message(reading: message.encoded()) != message { Issue.record("\(bytes)") }
        }
        #expect(accepted > 100)
    }
}

/// A message whose last name is reached through a chain of pointers, each to the one before it.
enum PointerChain {
    static func message(length: Int) -> ByteBuffer {
        var bytes = ByteBuffer(bytes: [0, 1, 0x80, 0, 0, 0, 0, 2, 0, 0, 0, 0])
        var data: [UInt8] = [1, 0x61, 0]
        // The first record's data starts behind a root name and ten bytes.
        let start = 12 + 11
        for index in 0..<length {
            let target = index == 0 ? start : start + 3 + 2 * (index - 1)
            data += [0xc0 | UInt8(target >> 8), UInt8(target & 0xff)]
        }
        let last = start + data.count - 2
        bytes.writeBytes([0, 0xff, 0, 0, 1, 0, 0, 0, 0])
        bytes.writeInteger(UInt16(data.count))
        bytes.writeBytes(data)
        bytes.writeBytes([0xc0 | UInt8(last >> 8), UInt8(last & 0xff), 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 0, 0, 1])
        return bytes
    }
}
