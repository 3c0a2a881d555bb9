import DNS
import NIOCore
import Testing

struct RawMessageTests {
    @Test func changesTheHeaderAlone() throws {
        let original = MessageTests.everything
        var raw = try RawMessage(original.encoded())
        raw.header.id = 7
        raw.header.isTruncated = true
        var expected = original
        expected.header.id = 7
        expected.header.isTruncated = true
        #expect(try Message(reading: raw.bytes) == expected)
        #expect(try raw.question() == original.questions[0])
        #expect([raw.questionCount, raw.answerCount, raw.authorityCount, raw.additionalCount] == [1, 8, 2, 2])
    }

    /// A cache must not change what others hold.
    @Test func leavesTheBytesItWasGivenAlone() throws {
        let bytes = try MessageTests.everything.encoded()
        var raw = try RawMessage(bytes)
        raw.header.id = 1
        try raw.age(by: 1)
        #expect(try Message(reading: bytes) == MessageTests.everything)
    }

    @Test func agesEachRecordButOPT() throws {
        let original = MessageTests.everything
        var raw = try RawMessage(original.encoded())
        #expect(try raw.minimumTimeToLive() == 0)
        try raw.age(by: 100)
        let aged = try Message(reading: raw.bytes)
        #expect(aged.answers.map(\.timeToLive) == [0, 0, 200, 200, 0, UInt32(Int32.max) - 100, 0, 0])
        #expect(aged.edns == original.edns)
    }

    @Test func readsFromWhereverTheMessageStands() throws {
        var stream = ByteBuffer(repeating: 0xff, count: 5)
        stream.moveReaderIndex(forwardBy: 5)
        stream.writeImmutableBuffer(try MessageTests.everything.encoded())
        var raw = try RawMessage(stream)
        raw.header.id = 9
        #expect(try raw.question() == MessageTests.everything.questions[0])
        try raw.age(by: 1)
        #expect(try Message(reading: raw.bytes).header.id == 9)
    }

    @Test func hasNoTimeWithoutRecords() throws {
        #expect(
            try RawMessage(Message(questions: [Question(name: "a", type: .a)]).encoded()).minimumTimeToLive() == nil)
    }

    @Test func refusesWhatIsNoMessage() {
        #expect(throws: DNSError.truncated("the header")) { try RawMessage(ByteBuffer(repeating: 0, count: 11)) }
        #expect(throws: DNSError.messageTooLong(65_536)) { try RawMessage(ByteBuffer(repeating: 0, count: 65_536)) }
    }
}
