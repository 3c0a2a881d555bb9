import Glibc
import NIOCore

/// The client's end of an SFTP connection on a blocking descriptor. Each call blocks its thread until it is answered; it is
/// of one thread at a time.
package final class SFTPClient {
    /// What every server takes in one packet (draft-ietf-secsh-filexfer-02 §3), and what OpenSSH's own clients ask for.
    private static let pieceSize = 32_768
    /// Pieces under way at once: 2 MiB, more than a path of 100 Mbit/s and 100 ms holds.
    private static let window = 64

    /// The connection has ended, or what comes is no SFTP.
    package struct ConnectionLost: Error, CustomStringConvertible {
        package var description: String
    }

    private struct Reply {
        var type: UInt8
        var id: UInt32
        var body: [UInt8]
    }

    private let descriptor: CInt
    private var lastID: UInt32 = 0
    private var input = [UInt8](repeating: 0, count: 512 << 10)
    private var start = 0
    private var end = 0

    /// Takes the descriptor over.
    package init(_ descriptor: CInt) throws {
        self.descriptor = descriptor
        var greeting = ByteBuffer()
        greeting.writeInteger(UInt32(5))
        greeting.writeInteger(SFTPPacketType.initialize.rawValue)
        greeting.writeInteger(UInt32(3))
        try send(greeting)
        let answer = try packet()
        guard answer.first == SFTPPacketType.version.rawValue else {
            throw ConnectionLost(description: "no SFTP there")
        }
    }

    deinit { Glibc.close(descriptor) }

    // MARK: Packets

    private func send(_ bytes: ByteBuffer) throws {
        try bytes.withUnsafeReadableBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw ConnectionLost(description: "the connection has ended") }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// The next packet without its length.
    private func packet() throws -> ArraySlice<UInt8> {
        while true {
            if end - start >= 4 {
                let length = input[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
                guard length >= 1, length <= SFTPLimits.maximumPacket + 1024 else {
                    throw ConnectionLost(description: "what comes is no SFTP")
                }
                if end - start >= 4 + length {
                    defer { start += 4 + length }
                    return input[start + 4..<start + 4 + length]
                }
            }
            if start > 0 {
                input.withUnsafeMutableBytes { bytes in
                    guard let base = bytes.baseAddress else { return }
                    memmove(base, base + start, end - start)
                }
                (start, end) = (0, end - start)
            }
            let count = input.withUnsafeMutableBytes { bytes in
                Glibc.read(descriptor, bytes.baseAddress.map { $0 + end }, bytes.count - end)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ConnectionLost(description: "the connection has ended") }
            end += count
        }
    }

    private func reply() throws -> Reply {
        let packet = try packet()
        guard packet.count >= 5, let type = packet.first else {
            throw ConnectionLost(description: "a packet too short")
        }
        let id = packet.dropFirst().prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return Reply(type: type, id: id, body: Array(packet.dropFirst(5)))
    }

    private func begin(_ type: SFTPPacketType, _ write: (inout SFTPWriter) -> Void) throws -> UInt32 {
        lastID &+= 1
        var writer = SFTPWriter(capacity: Self.pieceSize + 256)
        writer.begin(type, id: lastID)
        write(&writer)
        writer.end()
        try send(writer.bytes)
        return lastID
    }

    /// Asks, and has the answer read; a status other than success is thrown.
    private func ask<Result>(
        _ type: SFTPPacketType, _ write: (inout SFTPWriter) -> Void,
        read: (UInt8, inout SFTPReader) throws -> Result
    ) throws -> Result {
        let id = try begin(type, write)
        let reply = try reply()
        guard reply.id == id else { throw ConnectionLost(description: "an answer to something else") }
        return try reply.body.withUnsafeBytes { bytes in
            var reader = SFTPReader(bytes)
            if reply.type == SFTPPacketType.status.rawValue {
                let status = try Self.status(&reader)
                guard status.code == .ok else { throw status }
                reader = SFTPReader(bytes)
            }
            return try read(reply.type, &reader)
        }
    }

    private static func status(_ reader: inout SFTPReader) throws -> SFTPStatus {
        let code = SFTPStatus.Code(rawValue: try reader.integer()) ?? .failure
        return SFTPStatus(code, (try? reader.text()) ?? "failed")
    }

    // MARK: Names

    package func attributes(of path: String, follows: Bool = false) throws -> SFTPAttributes {
        try ask(follows ? .stat : .lstat, { $0.write(path) }) { _, reader in try SFTPAttributes(&reader) }
    }

    package func target(of path: String) throws -> String {
        try ask(.readlink, { $0.write(path) }) { _, reader in
            _ = try reader.integer(UInt32.self)
            return try reader.text()
        }
    }

    /// Without `.` and `..`.
    package func list(_ path: String) throws -> [(name: String, attributes: SFTPAttributes)] {
        let handle = try handle(.opendir) { $0.write(path) }
        defer { try? close(handle) }
        var entries: [(String, SFTPAttributes)] = []
        do {
            while true {
                try ask(.readdir, { writer in handle.withUnsafeBytes { writer.write($0) } }) { _, reader in
                    for _ in 0..<(try reader.integer(UInt32.self)) {
                        let name = try reader.text()
                        _ = try reader.string()
                        let attributes = try SFTPAttributes(&reader)
                        if name != ".", name != ".." { entries.append((name, attributes)) }
                    }
                }
            }
        } catch let status as SFTPStatus where status.code == .endOfFile {
            return entries
        }
    }

    package func makeDirectory(_ path: String, permissions: UInt32) throws {
        try ask(
            .mkdir,
            { writer in
                writer.write(path)
                var attributes = SFTPAttributes()
                attributes.permissions = permissions
                attributes.write(to: &writer)
            }, read: { _, _ in })
    }

    package func makeLink(_ path: String, to target: String) throws {
        try ask(
            .symlink,
            { writer in
                writer.write(target)
                writer.write(path)
            }, read: { _, _ in })
    }

    /// What had the other name before is gone (`posix-rename@openssh.com`).
    package func rename(_ path: String, to other: String) throws {
        try ask(
            .extended,
            { writer in
                writer.write(SFTPExtension.posixRename.rawValue)
                writer.write(path)
                writer.write(other)
            }, read: { _, _ in })
    }

    package func remove(_ path: String) throws {
        try ask(.remove, { $0.write(path) }) { _, _ in }
    }

    /// SHA-256; `nil` from a server that does not tell.
    package func digest(of path: String) throws -> [UInt8]? {
        do {
            return try ask(
                .extended,
                { writer in
                    writer.write(SFTPExtension.digest.rawValue)
                    writer.write(path)
                }, read: { _, reader in Array(try reader.string()) })
        } catch let status as SFTPStatus where status.code == .operationUnsupported {
            return nil
        }
    }

    // MARK: Contents

    private func handle(_ type: SFTPPacketType, _ write: (inout SFTPWriter) -> Void) throws -> [UInt8] {
        try ask(type, write) { _, reader in Array(try reader.string()) }
    }

    private func close(_ handle: [UInt8]) throws {
        try ask(.close, { writer in handle.withUnsafeBytes { writer.write($0) } }) { _, _ in }
    }

    private func open(_ path: String, flags: UInt32, permissions: UInt32? = nil) throws -> [UInt8] {
        try handle(.open) { writer in
            writer.write(path)
            writer.write(flags)
            var attributes = SFTPAttributes()
            attributes.permissions = permissions
            attributes.write(to: &writer)
        }
    }

    /// Hands a file's bytes to `take`, in order, to its end.
    package func read(_ path: String, _ take: (ArraySlice<UInt8>) throws -> Void) throws {
        let handle = try open(path, flags: 1)
        defer { try? close(handle) }
        var asked: [(id: UInt32, offset: UInt64)] = []
        var arrived: [UInt32: [UInt8]?] = [:]
        var (next, isAtEnd) = (UInt64(0), false)
        while true {
            while !isAtEnd, asked.count < Self.window {
                let offset = next
                let id = try begin(.read) { writer in
                    handle.withUnsafeBytes { writer.write($0) }
                    writer.write(offset)
                    writer.write(UInt32(Self.pieceSize))
                }
                asked.append((id, offset))
                next += UInt64(Self.pieceSize)
            }
            guard let first = asked.first else { return }
            while arrived[first.id] == nil {
                let reply = try reply()
                try arrived.updateValue(Self.data(reply), forKey: reply.id)
            }
            asked.removeFirst()
            // What comes after the end, or after a short piece, is asked for again from there.
            guard let piece = arrived.removeValue(forKey: first.id) ?? nil else {
                isAtEnd = true
                continue
            }
            guard !isAtEnd else { continue }
            try take(piece[...])
            guard piece.count < Self.pieceSize else { continue }
            for other in asked {
                while arrived[other.id] == nil {
                    let reply = try reply()
                    try arrived.updateValue(Self.data(reply), forKey: reply.id)
                }
            }
            (asked, arrived) = ([], [:])
            next = first.offset + UInt64(piece.count)
        }
    }

    /// `nil`: the end of the file.
    private static func data(_ reply: Reply) throws -> [UInt8]? {
        try reply.body.withUnsafeBytes { bytes in
            var reader = SFTPReader(bytes)
            if reply.type == SFTPPacketType.data.rawValue { return Array(try reader.string()) }
            let status = try status(&reader)
            guard status.code == .endOfFile else { throw status }
            return nil
        }
    }

    /// Writes a file from what `give` returns, piece by piece, until that is empty.
    package func write(_ path: String, permissions: UInt32, _ give: (Int) throws -> [UInt8]) throws {
        // Write, create, truncate.
        let handle = try open(path, flags: 2 | 8 | 16, permissions: permissions)
        var isClosed = false
        defer { if !isClosed { try? close(handle) } }
        var outstanding = 0
        var offset: UInt64 = 0
        func settle() throws {
            let reply = try reply()
            outstanding -= 1
            try reply.body.withUnsafeBytes { bytes in
                var reader = SFTPReader(bytes)
                let status = try Self.status(&reader)
                guard status.code == .ok else { throw status }
            }
        }
        while true {
            let piece = try give(Self.pieceSize)
            guard !piece.isEmpty else { break }
            if outstanding == Self.window { try settle() }
            _ = try begin(.write) { writer in
                handle.withUnsafeBytes { writer.write($0) }
                writer.write(offset)
                piece.withUnsafeBytes { writer.write($0) }
            }
            outstanding += 1
            offset += UInt64(piece.count)
        }
        while outstanding > 0 { try settle() }
        isClosed = true
        try close(handle)
    }
}
