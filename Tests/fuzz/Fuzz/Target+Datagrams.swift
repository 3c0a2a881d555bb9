import NIOCore
import SSHProtocol

extension Target {
    /// Frames of the datagram channel: as each side sends them, cut anywhere, and written again as they were read.
    static let datagrams: [Target] = [
        Target(name: "datagram-frame") {
            let text = ByteBuffer(string: "datagram")
            let frames: [DatagramFrame] = [
                .open(flow: 5, host: "hello", port: 9), .data(flow: 5, text), .close(flow: 5),
                .echo(flow: 6, host: "10.42.0.10", identifier: 7, sequence: 8, payload: text),
                .error(flow: 5, reason: 1, text: "Connection refused"),
                .echoReply(flow: 6, identifier: 7, sequence: 8, payload: text),
            ]
            return frames.map { frame in
                var buffer = ByteBuffer()
                frame.write(into: &buffer)
                return Array(buffer.readableBytesView)
            }
        } run: { bytes in
            for sender in [Role.client, .server] {
                let whole = read(ByteBuffer(bytes: bytes), sentBy: sender)
                precondition(whole == readInPieces(bytes, sentBy: sender))
                for frame in whole {
                    var buffer = ByteBuffer()
                    frame.write(into: &buffer)
                    precondition(buffer.readableBytes <= DatagramFrame.maximumLength + 4)
                    precondition(read(buffer, sentBy: sender) == [frame])
                }
            }
        }
    ]

    private static func read(_ bytes: ByteBuffer, sentBy sender: Role) -> [DatagramFrame] {
        var buffer = bytes
        var frames: [DatagramFrame] = []
        do throws(Disconnect) {
            while let frame = try DatagramFrame.read(from: &buffer, sentBy: sender) { frames.append(frame) }
        } catch {}
        return frames
    }

    private static func readInPieces(_ bytes: [UInt8], sentBy sender: Role) -> [DatagramFrame] {
        var buffer = ByteBuffer()
        var frames: [DatagramFrame] = []
        var rest = bytes[...]
        do throws(Disconnect) {
            while !rest.isEmpty {
                let piece = rest.prefix(Int(rest.first ?? 0) % 7 + 1)
                rest = rest.dropFirst(piece.count)
                buffer.writeBytes(piece)
                while let frame = try DatagramFrame.read(from: &buffer, sentBy: sender) { frames.append(frame) }
                buffer.discardReadBytes()
            }
        } catch {}
        return frames
    }
}
