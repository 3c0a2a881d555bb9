import Glibc
package import NIOCore

/// Serves SFTP, version 3, on one connection, from a tree of files. Blocks the thread that it runs on, as long as a disk takes;
/// it is of no other.
///
/// Requests are answered in the order they come. What is no SFTP ends the connection.
package final class FileServer {
    /// Answers that are collected before they leave: replies to a client's window of reads.
    private static let outputSize = 512 << 10

    /// What came is no SFTP, and what follows cannot be told apart either.
    package struct NoSFTP: Error {}

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

    /// Answers the requests at the front of `input`, as many as there are or until their answers are long enough; `nil`: what
    /// is there is no whole request.
    package func serve(_ input: inout ByteBuffer) throws(NoSFTP) -> ByteBuffer? {
        output.removeAll()
        var isBroken = false
        let used = input.withUnsafeReadableBytes { bytes in
            var used = 0
            while output.bytes.readableBytes < Self.outputSize,
                let length = take(UnsafeRawBufferPointer(rebasing: bytes[used...]))
            {
                guard length > 0 else {
                    isBroken = true
                    break
                }
                used += length
            }
            return used
        }
        input.moveReaderIndex(forwardBy: used)
        // What came before it is answered.
        guard output.bytes.readableBytes == 0 else { return output.bytes }
        if isBroken { throw NoSFTP() }
        return nil
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
        var input = ByteBuffer(bytes: bytes)
        var answers: [UInt8] = []
        do throws(NoSFTP) {
            while let some = try serve(&input) { answers += some.readableBytesView }
            return answers
        } catch {
            return nil
        }
    }

    /// One packet behind its length. `false`: it is none.
    private func serve(_ packet: UnsafeRawBufferPointer) -> Bool {
        var reader = SFTPReader(packet)
        guard let kind = try? reader.integer(UInt8.self), let id = try? reader.integer(UInt32.self) else {
            return false
        }
        if kind == SFTPPacketType.initialize.rawValue {
            output.version(SFTPExtension.allCases)
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
