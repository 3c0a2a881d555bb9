import NIOCore
import SFTP

/// Requests as a client sends them, and answers taken apart.
struct Packets {
    private var lastID: UInt32 = 0
    private var writer = SFTPWriter()

    init() {}

    static let greeting: [UInt8] = [0, 0, 0, 5, 1, 0, 0, 0, 3]

    /// One request; its bytes. Ids count from 1.
    mutating func request(_ type: SFTPPacketType, _ write: (inout SFTPWriter) -> Void) -> [UInt8] {
        lastID += 1
        var writer = SFTPWriter()
        writer.begin(type, id: lastID)
        write(&writer)
        writer.end()
        return Array(writer.bytes.readableBytesView)
    }

    mutating func request(_ type: SFTPPacketType, path: String) -> [UInt8] { request(type) { $0.write(path) } }

    mutating func open(_ path: String, flags: UInt32) -> [UInt8] {
        request(.open) { writer in
            writer.write(path)
            writer.write(flags)
            writer.write(UInt32(0))
        }
    }

    mutating func handled(_ type: SFTPPacketType, _ handle: [UInt8], _ more: (inout SFTPWriter) -> Void = { _ in })
        -> [UInt8]
    {
        request(type) { writer in
            handle.withUnsafeBytes { writer.write($0) }
            more(&writer)
        }
    }
}

/// One answer.
struct Answer {
    var type: SFTPPacketType
    var id: UInt32
    var body: [UInt8]

    /// All that are in `bytes`.
    static func all(_ bytes: [UInt8]) -> [Answer] {
        var buffer = ByteBuffer(bytes: bytes)
        var answers: [Answer] = []
        while let length = buffer.readInteger(as: UInt32.self), let packet = buffer.readSlice(length: Int(length)) {
            var packet = packet
            guard let kind = packet.readInteger(as: UInt8.self), let type = SFTPPacketType(rawValue: kind),
                let id = packet.readInteger(as: UInt32.self)
            else { break }
            answers.append(Answer(type: type, id: id, body: Array(packet.readableBytesView)))
        }
        return answers
    }

    private func read<Result>(_ body: (inout SFTPReader) throws -> Result) -> Result? {
        self.body.withUnsafeBytes { bytes in
            var reader = SFTPReader(bytes)
            return try? body(&reader)
        }
    }

    var status: SFTPStatus.Code? {
        type == .status ? read { SFTPStatus.Code(rawValue: try $0.integer()) } ?? nil : nil
    }

    var text: String? {
        read {
            _ = try $0.integer(UInt32.self)
            return try $0.text()
        }
    }

    /// Of a handle or of data.
    var string: [UInt8]? { read { Array(try $0.string()) } }

    var attributes: SFTPAttributes? { read { try SFTPAttributes(&$0) } }

    var names: [String] {
        read { reader in
            var names: [String] = []
            for _ in 0..<(try reader.integer(UInt32.self)) {
                names.append(try reader.text())
                _ = try reader.string()
                _ = try SFTPAttributes(&reader)
            }
            return names
        } ?? []
    }
}
