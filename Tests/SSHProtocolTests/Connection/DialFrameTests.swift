import NIOCore
import Testing

@testable import SSHProtocol

struct DialFrameTests {
    private static let frames: [(DialFrame, Role)] = [
        (.dial(id: 1, host: "hello.default", port: 80, originatorHost: "127.0.0.1", originatorPort: 65_535), .client),
        (.dial(id: .max, host: "", port: .max, originatorHost: "", originatorPort: 0), .client),
        (.dialStreamLocal(id: 2, path: "/run/x.sock"), .client),
        (.cancel(id: 3), .client),
        (.opened(id: 4), .server),
        (.failed(id: 5, reason: 2, text: "Connection refused"), .server),
    ]

    @Test("what is written is read, one byte at a time", arguments: frames.indices)
    func roundTrip(index: Int) throws {
        let (frame, sender) = Self.frames[index]
        var written = ByteBuffer()
        frame.write(into: &written)
        frame.write(into: &written)
        var received = ByteBuffer()
        var read: [DialFrame] = []
        while let byte: UInt8 = written.readInteger() {
            received.writeInteger(byte)
            while let next = try DialFrame.read(from: &received, sentBy: sender) { read.append(next) }
        }
        #expect(read == [frame, frame])
        #expect(received.readableBytes == 0)
    }

    @Test("a frame of the other side is malformed, as is one that is cut short", arguments: frames.indices)
    func malformed(index: Int) throws {
        let (frame, sender) = Self.frames[index]
        var written = ByteBuffer()
        frame.write(into: &written)
        let bytes = Array(written.readableBytesView.dropFirst(4))
        for length in 0..<bytes.count {
            var short = ByteBuffer()
            short.writeSSHString(bytes.prefix(length))
            #expect(throws: Disconnect.self) { try DialFrame.read(from: &short, sentBy: sender) }
        }
        if case .cancel = frame { return }
        if case .opened = frame { return }
        #expect(throws: Disconnect.self) {
            try DialFrame.read(from: &written, sentBy: sender == .client ? .server : .client)
        }
    }

    @Test("a frame that is too long is refused before it has come", arguments: [4097, 1 << 20, .max] as [UInt32])
    func tooLong(length: UInt32) {
        var buffer = ByteBuffer(integer: length)
        #expect(throws: Disconnect.self) { try DialFrame.read(from: &buffer, sentBy: .client) }
    }

    @Test("kinds that are none", arguments: [0, 4, 255] as [UInt8])
    func unknownKind(kind: UInt8) {
        for sender in [Role.client, .server] {
            var buffer = ByteBuffer()
            buffer.writeSSHString([kind, 0, 0, 0, 1, 0, 0, 0, 0])
            #expect(throws: Disconnect.self) { try DialFrame.read(from: &buffer, sentBy: sender) }
        }
    }
}
