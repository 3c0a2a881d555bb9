import NIOCore
import SSHProtocol
import Testing

@Suite struct DatagramFrameTests {
    private static let text = ByteBuffer(string: "datagram")

    private static let client: [DatagramFrame] = [
        .open(flow: 5, host: "hello", port: 9), .data(flow: .max, text), .data(flow: 0, ByteBuffer()), .close(flow: 5),
        .echo(flow: 6, host: "fd00::1", identifier: 7, sequence: 8, payload: text),
    ]

    private static let server: [DatagramFrame] = [
        .data(flow: 5, text), .close(flow: 5), .error(flow: 5, reason: 1, text: "Connection refused"),
        .echoReply(flow: 6, identifier: 7, sequence: 8, payload: text),
    ]

    @Test func areReadAsTheyWereWritten() throws {
        for (sender, frames) in [(Role.client, Self.client), (.server, Self.server)] {
            var buffer = ByteBuffer()
            for frame in frames { frame.write(into: &buffer) }
            for frame in frames { #expect(try DatagramFrame.read(from: &buffer, sentBy: sender) == frame) }
            #expect(buffer.readableBytes == 0)
        }
    }

    /// The text of the protocol, byte for byte.
    @Test func areOnTheWireAsTheyAreDescribed() {
        var buffer = ByteBuffer()
        DatagramFrame.open(flow: 258, host: "h", port: 9).write(into: &buffer)
        #expect(Array(buffer.readableBytesView) == [0, 0, 0, 14, 1, 0, 0, 1, 2, 0, 0, 0, 1, 0x68, 0, 0, 0, 9])
        buffer.clear()
        DatagramFrame.echo(flow: 1, host: "h", identifier: 0x0203, sequence: 4, payload: ByteBuffer(bytes: [9]))
            .write(into: &buffer)
        #expect(
            Array(buffer.readableBytesView) == [
                0, 0, 0, 15, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0x68, 2, 3, 0, 4, 9,
            ])
    }

    @Test func nothingIsReadBeforeItIsThere() throws {
        for frame in Self.client {
            var whole = ByteBuffer()
            frame.write(into: &whole)
            for length in 0..<whole.readableBytes {
                var part = whole.getSlice(at: 0, length: length) ?? ByteBuffer()
                #expect(try DatagramFrame.read(from: &part, sentBy: .client) == nil)
                #expect(part.readableBytes == length)
            }
        }
    }

    @Test func eachSideSendsItsOwnKinds() {
        for (sender, frames) in [
            (Role.server, [Self.client[0], Self.client[4]]), (.client, [Self.server[2], Self.server[3]]),
        ] {
            for frame in frames {
                var buffer = ByteBuffer()
                frame.write(into: &buffer)
                #expect(throws: Disconnect.self) { try DatagramFrame.read(from: &buffer, sentBy: sender) }
            }
        }
    }

    @Test func aLengthIsRefusedBeforeItsBytesCome() {
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt32(DatagramFrame.maximumLength + 1))
        #expect(throws: Disconnect.self) { try DatagramFrame.read(from: &buffer, sentBy: .client) }
    }
}
