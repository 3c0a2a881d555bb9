import NIOCore
import Testing

@testable import Kubernetes

@Suite struct SPDYConnectionTests {
    private typealias Effect = SPDYConnection.Effect

    private static let fin = SPDYFrame.finFlag

    private static func data(_ stream: UInt32, _ text: String, flags: UInt8 = 0) -> [UInt8] {
        var buffer = ByteBuffer()
        SPDYFrame(.data(stream: stream), flags: flags, length: text.utf8.count).write(into: &buffer)
        return Array(buffer.readableBytesView) + Array(text.utf8)
    }

    private static func control(_ type: SPDYFrame.Control, _ words: UInt32..., flags: UInt8 = 0) -> [UInt8] {
        var buffer = ByteBuffer()
        SPDYFrame(.control(type), flags: flags, length: words.count * 4).write(into: &buffer)
        for word in words { buffer.writeInteger(word) }
        return Array(buffer.readableBytesView)
    }

    /// As a server answers the opening of both streams, each with an empty block of headers.
    private static let replies = control(.synReply, 1, 0) + control(.synReply, 3, 0)

    /// What comes of the bytes, in chunks of a length; data that follow one another are one.
    private static func effects(
        of bytes: [UInt8], chunk: Int = .max, _ connection: inout SPDYConnection
    ) -> [Effect] {
        var effects: [Effect] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            var buffer = ByteBuffer(bytes: rest.prefix(chunk))
            rest = rest.dropFirst(chunk)
            while let effect = connection.receive(&buffer) {
                if case .received(let data) = effect, case .received(var before)? = effects.last {
                    before.writeImmutableBuffer(data)
                    effects[effects.count - 1] = .received(before)
                } else {
                    effects.append(effect)
                }
            }
            #expect(buffer.readableBytes == 0, "something is left")
        }
        return effects
    }

    private static func effects(of bytes: [UInt8], chunk: Int = .max) -> [Effect] {
        var connection = SPDYConnection(port: 80)
        _ = connection.open()
        return effects(of: bytes, chunk: chunk, &connection)
    }

    private static func failure(of bytes: [UInt8]) -> KubernetesError? {
        guard case .failed(let error)? = effects(of: bytes).last else { return nil }
        return error
    }

    // MARK: To the server

    /// As kubelet reads them.
    @Test func bothStreamsAreOpened() throws {
        var connection = SPDYConnection(port: 8022)
        var buffer = connection.open()
        for (stream, type) in [(UInt32(1), "error"), (3, "data")] {
            let head = try SPDYFrame(reading: &buffer)
            let frame = try #require(head)
            #expect(frame.kind == .control(.synStream))
            #expect(frame.flags == 0)
            let slice = buffer.readSlice(length: frame.length)
            var payload = try #require(slice)
            #expect(payload.readBytes(length: 10) == [0, 0, 0, UInt8(stream), 0, 0, 0, 0, 0, 0])
            if stream == 1 { #expect(payload.readBytes(length: 6) == [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2]) }
            let length = 4 + "streamtype".count + type.count + "port8022requestid0".count + 6 * 4
            #expect(
                payload.readBytes(length: 5) == [0, UInt8(length), 0, ~UInt8(length), 0xff])
            #expect(payload.readInteger(as: UInt32.self) == 3)
            for text in ["streamtype", type, "port", "8022", "requestid", "0"] {
                #expect(payload.readInteger(as: UInt32.self) == UInt32(text.count))
                #expect(payload.readString(length: text.count) == text)
            }
            #expect(payload.readBytes(length: payload.readableBytes) == [0, 0, 0, 0xff, 0xff])
            if stream == 1 {
                #expect(buffer.readBytes(length: 8) == [0, 0, 0, 1, Self.fin, 0, 0, 0], "our errors are at their end")
            }
        }
        #expect(buffer.readableBytes == 0)
    }

    @Test(arguments: [0, 1, 32 << 10, (32 << 10) + 1, 100_000])
    func everyLengthIsFramed(_ length: Int) throws {
        let connection = SPDYConnection(port: 80)
        let data = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7) }
        var frames = connection.frames(of: ByteBuffer(bytes: data), allocator: ByteBufferAllocator())
        var read: [UInt8] = []
        while let frame = try SPDYFrame(reading: &frames) {
            #expect(frame.kind == .data(stream: 3))
            #expect(frame.length <= SPDYConnection.dataLength)
            let bytes = frames.readBytes(length: frame.length)
            read += try #require(bytes)
        }
        #expect(read == data)
        #expect(frames.readableBytes == 0)
    }

    @Test func theEndIsToldOnce() {
        var connection = SPDYConnection(port: 80)
        #expect(Array(connection.finish().readableBytesView) == [0, 0, 0, 3, Self.fin, 0, 0, 0])
        #expect(connection.finish().readableBytes == 0)
        let late = connection.frames(of: ByteBuffer(string: "late"), allocator: ByteBufferAllocator())
        #expect(late.readableBytes == 0)
    }

    @Test func pingsOfOursAreOdd() {
        var connection = SPDYConnection(port: 80)
        #expect(Array(connection.ping().readableBytesView) == Self.control(.ping, 1))
        #expect(Array(connection.ping().readableBytesView) == Self.control(.ping, 3))
    }

    // MARK: From the server

    @Test(arguments: [1, 2, 3, 7, 8, 9, 11, .max])
    func anythingMayBeCutAnywhere(_ chunk: Int) {
        let long = String(repeating: "0123456789", count: 7000)
        let bytes =
            Self.control(.settings, 1, 4, 1000) + Self.replies + Self.data(3, "SSH-2.0-x\r\n") + Self.control(.ping, 2)
            + Self.control(.ping, 1) + Self.control(.windowUpdate, 3, 65_536) + Self.data(3, "") + Self.data(3, long)
            + Self.control(.headers, 3, 0) + Self.control(.goAway, 3, 0) + Self.data(3, "end", flags: Self.fin)
            + Self.control(.rstStream, 3, 5) + Self.data(1, "", flags: Self.fin)
        #expect(
            Self.effects(of: bytes, chunk: chunk) == [
                .opened, .received(ByteBuffer(string: "SSH-2.0-x\r\n")),
                .send(ByteBuffer(bytes: Self.control(.ping, 2))), .received(ByteBuffer(string: long + "end")), .ended,
            ])
    }

    @Test func aTypeThatIsNotKnownIsPassedOver() {
        let unknown: [UInt8] = [0x80, 3, 0, 99, 0, 0, 0, 3, 1, 2, 3]
        #expect(Self.effects(of: unknown + Self.replies, chunk: 1) == [.opened])
    }

    @Test(arguments: [1, 5, .max])
    func anErrorIsTold(_ chunk: Int) {
        let text = "error forwarding port 9 to pod: connection refused"
        // As kubelet does now and then, it ends the data first.
        let bytes =
            Self.replies + Self.data(3, "", flags: Self.fin) + Self.data(1, text) + Self.data(1, "\n", flags: Self.fin)
        #expect(Self.effects(of: bytes, chunk: chunk) == [.opened, .failed(KubernetesError(.unreachable, text))])
    }

    @Test func anErrorIsToldThoughItDoesNotEnd() {
        var connection = SPDYConnection(port: 80)
        _ = Self.effects(of: Self.replies + Self.data(1, "no such pod"), &connection)
        #expect(connection.end() == .failed(KubernetesError(.unreachable, "no such pod")))
        #expect(connection.end() == nil)
    }

    @Test func anErrorHasABound() {
        let long = String(repeating: "x", count: 100_000)
        let bytes = Self.replies + Self.data(1, long) + Self.data(1, long, flags: Self.fin)
        #expect(Self.failure(of: bytes)?.description.utf8.count == SPDYConnection.longestError)
    }

    @Test func aStreamMayBeRefused() {
        #expect(Self.failure(of: Self.control(.rstStream, 1, 3))?.kind == .unreachable)
        #expect(Self.failure(of: Self.control(.rstStream, 3, 3))?.kind == .unreachable)
        #expect(Self.failure(of: Self.replies + Self.control(.rstStream, 3, 3))?.kind == .unreachable)
        #expect(Self.failure(of: Self.control(.goAway, 1, 0))?.kind == .unreachable)
        let reset = Self.replies + Self.data(3, "", flags: Self.fin) + Self.control(.rstStream, 1, 5)
        #expect(Self.effects(of: reset + Self.control(.rstStream, 1, 5)) == [.opened, .ended])
    }

    @Test func directionsEndByThemselves() {
        var connection = SPDYConnection(port: 80)
        _ = Self.effects(of: Self.replies, &connection)
        _ = connection.finish()
        #expect(!connection.isDone)
        #expect(
            Self.effects(of: Self.data(3, "still", flags: Self.fin), &connection) == [
                .received(ByteBuffer(string: "still"))
            ])
        #expect(!connection.isDone)
        #expect(Self.effects(of: Self.data(1, "", flags: Self.fin), &connection) == [.ended])
        #expect(connection.isDone)
        #expect(connection.end() == nil)
    }

    @Test func aConnectionThatEndsEarlyIsAFailure() {
        var opening = SPDYConnection(port: 80)
        #expect(opening.end() == .failed(KubernetesError(.unreachable, "the API server closed the stream")))
        var open = SPDYConnection(port: 80)
        _ = Self.effects(of: Self.replies, &open)
        #expect(open.end() == .failed(KubernetesError(.unreachable, "the API server closed the stream")))
    }

    @Test(arguments: [
        Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8),
        [0x80, 2, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1],
        control(.synStream, 2, 0, 0),
        control(.synReply),
        control(.ping),
        control(.ping, 2, 2),
        control(.rstStream, 3),
        control(.goAway, 3),
        control(.windowUpdate, 3),
        [0x80, 3, 0, 4, 0, 0, 0, 3, 0, 0, 0],
        [0x80, 3, 0, 4, 0, 0xff, 0xff, 0xff],
        data(3, "before the reply"),
        data(2, "x"),
        replies + control(.synReply, 3, 0),
        replies + data(5, "x"),
        replies + data(3, "", flags: fin) + data(3, "x"),
        replies + data(3, "", flags: fin) + control(.headers, 3, flags: fin),
        control(.headers, 3, flags: fin),
        data(1, "", flags: fin) + data(1, "x"),
        replies + control(.headers, 7, flags: fin),
    ])
    func whatIsMalformedEndsIt(_ bytes: [UInt8]) {
        for chunk in [1, 3, Int.max] {
            let effects = Self.effects(of: bytes + Self.replies, chunk: chunk)
            guard case .failed(let error)? = effects.last else {
                Issue.record("\(effects)")
                continue
            }
            #expect(error.description.contains("does not speak SPDY/3.1: "))
            #expect(error.kind == .other)
        }
    }
}
