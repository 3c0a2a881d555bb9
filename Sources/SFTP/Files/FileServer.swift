import Glibc
import NIOCore

/// Serves SFTP, version 3, on one connection, from a tree of files. Blocks the thread that it runs on; it is of no other.
///
/// Requests are answered in the order they come. What is no SFTP ends the connection.
package final class FileServer {
    /// What is read at once: two of the longest packets.
    private static let inputSize = 512 << 10
    /// Answers that are collected before they are written: replies to a client's window of reads.
    private static let outputSize = 512 << 10

    let tree: FileTree
    /// The first byte of its handles.
    let number: UInt8
    var files: [UInt32: OpenFile] = [:]
    var lastHandle: UInt32 = 0
    var output = SFTPWriter(capacity: outputSize + SFTPLimits.maximumPacket)

    package init(tree: FileTree, number: UInt8 = 1) {
        self.tree = tree
        self.number = number
    }

    /// Until the other end has closed.
    package func run(input: CInt, output descriptor: CInt) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.inputSize, alignment: 16)
        defer { buffer.deallocate() }
        var filled = 0
        while true {
            guard let base = buffer.baseAddress else { return }
            let count = Glibc.read(input, base + filled, buffer.count - filled)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            filled += count
            var used = 0
            while let length = take(UnsafeRawBufferPointer(rebasing: buffer[used..<filled])) {
                // A packet that cannot be understood: what follows cannot be told apart either.
                guard length > 0 else {
                    _ = flush(descriptor)
                    return
                }
                used += length
                if output.bytes.readableBytes >= Self.outputSize, !flush(descriptor) { return }
            }
            memmove(base, base + used, filled - used)
            filled -= used
            guard flush(descriptor) else { return }
        }
    }

    private func flush(_ descriptor: CInt) -> Bool {
        defer { output.removeAll() }
        return output.bytes.withUnsafeReadableBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }
    }

    /// Serves the first packet of `bytes`; its length with all, `nil` for one that is not whole, 0 for what is none.
    private func take(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count >= 4 else { return nil }
        let length = Int(UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
        guard length >= 5, length <= SFTPLimits.maximumPacket else { return 0 }
        guard bytes.count >= 4 + length else { return nil }
        return serve(UnsafeRawBufferPointer(rebasing: bytes[4..<4 + length])) ? 4 + length : 0
    }

    /// What is answered to bytes that end with a packet; `nil`: they are no SFTP.
    package func answer(_ bytes: [UInt8]) -> [UInt8]? {
        bytes.withUnsafeBytes { bytes in
            var used = 0
            while let length = take(UnsafeRawBufferPointer(rebasing: bytes[used...])) {
                guard length > 0 else { return nil }
                used += length
            }
            defer { output.removeAll() }
            return Array(output.bytes.readableBytesView)
        }
    }

    /// One packet behind its length. `false`: it is none.
    private func serve(_ packet: UnsafeRawBufferPointer) -> Bool {
        var reader = SFTPReader(packet)
        guard let kind = try? reader.integer(UInt8.self), let id = try? reader.integer(UInt32.self) else {
            return false
        }
        if kind == SFTPPacketType.initialize.rawValue {
            output.version()
            return true
        }
        guard let type = SFTPPacketType(rawValue: kind), type.isRequest else {
            output.status(.unsupported, id: id)
            return true
        }
        do {
            try serve(type, id, &reader)
        } catch let status as SFTPStatus {
            output.status(status, id: id)
        } catch {
            return false
        }
        return true
    }
}
