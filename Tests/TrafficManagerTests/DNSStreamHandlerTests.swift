import DNS
import NIOCore
import NIOEmbedded
import Testing

@testable import TrafficManager

struct DNSStreamHandlerTests {
    private func channel() throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let served = serveDNS(on: channel, directory: Directory(try ClusterFixture.snapshot()))
        channel.embeddedEventLoop.run()
        try served.wait()
        return channel
    }

    private func query(_ id: UInt16) throws -> ByteBuffer {
        let question = Question(name: "hello.default.svc.cluster.local", type: .a)
        var stream = ByteBuffer()
        try DNSStreamFraming.write(Message(header: Header(id: id), questions: [question]).encoded(), to: &stream)
        return stream
    }

    /// The ids of the answers that are out.
    private func answered(_ channel: EmbeddedChannel) throws -> [UInt16] {
        var framing = DNSStreamFraming()
        var ids: [UInt16] = []
        while let bytes = try channel.readOutbound(as: ByteBuffer.self) {
            framing.append(bytes)
            while let message = try framing.next() { ids.append(try Message(reading: message).header.id) }
        }
        return ids
    }

    @Test func answersQueriesHoweverTheyAreCut() throws {
        let channel = try channel()
        var stream = ByteBuffer()
        for id in 1...3 { stream.writeImmutableBuffer(try query(UInt16(id))) }
        while let byte = stream.readSlice(length: 1) { try channel.writeInbound(byte) }
        #expect(try answered(channel) == [1, 2, 3])
        var together = ByteBuffer()
        for id in 4...6 { together.writeImmutableBuffer(try query(UInt16(id))) }
        try channel.writeInbound(together)
        #expect(try answered(channel) == [4, 5, 6])
        #expect(channel.isActive)
    }

    /// Others on the event loop have their turn between a few dozen answers; all of them come in the end.
    @Test func leavesTurnsToOthers() throws {
        let channel = try channel()
        var stream = ByteBuffer()
        let count = DNSStreamHandler.maximumAnswersPerTurn
        for id in 1...(3 * count + 1) { stream.writeImmutableBuffer(try query(UInt16(id))) }
        try channel.writeInbound(stream)
        // What ends meanwhile ends behind the last answer.
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(try answered(channel) == (1...count).map(UInt16.init))
        channel.embeddedEventLoop.run()
        #expect(try answered(channel) == ((count + 1)...(3 * count + 1)).map(UInt16.init))
        #expect(!channel.isActive)
    }

    /// A peer that asks and does not read gets nothing more, and is not read from.
    @Test func waitsForAPeerThatDoesNotRead() throws {
        let channel = try channel()
        channel.isWritable = false
        channel.pipeline.fireChannelWritabilityChanged()
        try channel.writeInbound(try query(1))
        #expect(try answered(channel).isEmpty)
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        #expect(try answered(channel) == [1])
    }

    @Test func closesBehindTheLastAnswerWhenThePeerIsDone() throws {
        let channel = try channel()
        try channel.writeInbound(try query(1))
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        channel.embeddedEventLoop.run()
        #expect(try answered(channel) == [1])
        #expect(!channel.isActive)
    }

    @Test(
        arguments: [
            [0, 0], [0, 11], Array("GET / HTTP/1.1\r\n".utf8).prefix(1) + [0] + Array(repeating: 0, count: 0x4700),
            // An answer instead of a query.
            [0, 12, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ] as [[UInt8]])
    func closesWhenThePeerDoesNotSpeakDNS(bytes: [UInt8]) throws {
        let channel = try channel()
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        channel.embeddedEventLoop.run()
        // Zeros are a query without a question, which is answered; anything less is the end.
        #expect(channel.isActive == (bytes.count > 100))
    }

    @Test func closesWhenNothingIsAsked() throws {
        let channel = try channel()
        channel.embeddedEventLoop.advanceTime(by: .seconds(20))
        try channel.writeInbound(try query(1))
        channel.embeddedEventLoop.advanceTime(by: .seconds(29))
        #expect(channel.isActive)
        // Bytes that never become a query do not keep the stream open.
        try channel.writeInbound(ByteBuffer(bytes: [0]))
        channel.embeddedEventLoop.advanceTime(by: .seconds(2))
        #expect(!channel.isActive)
    }
}
