import DNS
import NIOCore

extension Target {
    /// A query with EDNS, and an answer whose name points back.
    private static let messages: [[UInt8]] = [
        [
            0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 5, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0, 0, 1, 0, 1, 0, 0, 41, 4, 0xd0,
            0, 0, 0, 0, 0, 0,
        ],
        [
            0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 5, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0, 0, 1, 0, 1, 0xc0, 12, 0,
            1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 43, 0, 1,
        ],
    ]

    static let dns: [Target] = [
        Target(name: "dns") {
            messages
        } run: { bytes in
            let buffer = ByteBuffer(bytes: bytes)
            if var raw = try? RawMessage(buffer) {
                _ = try? raw.question()
                _ = try? raw.minimumTimeToLive()
                try? raw.age(by: .max)
            }
            guard let message = try? Message(reading: buffer), let written = try? message.encoded() else { return }
            precondition((try? Message(reading: written)) != nil, "a message cannot be read as it was written")
        },
        Target(name: "dns-stream") {
            [messages.flatMap { [0, UInt8($0.count)] + $0 }]
        } run: { bytes in
            var framing = DNSStreamFraming()
            for chunk in stride(from: 0, to: bytes.count, by: 7) {
                framing.append(ByteBuffer(bytes: bytes[chunk..<min(chunk + 7, bytes.count)]))
                while let message = try? framing.next() { _ = try? RawMessage(message) }
            }
        },
    ]
}
