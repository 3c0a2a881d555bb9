package import NIOCore

/// Packets one behind the other, each with its length.
package struct SFTPWriter {
    package private(set) var bytes: ByteBuffer
    private var start = 0

    package init(capacity: Int = 256) { bytes = ByteBufferAllocator().buffer(capacity: capacity) }

    package mutating func write<Integer: FixedWidthInteger>(_ value: Integer) {
        bytes.writeInteger(value)
    }

    package mutating func write(_ text: some StringProtocol) {
        write(UInt32(text.utf8.count))
        bytes.writeString(String(text))
    }

    package mutating func write(_ string: UnsafeRawBufferPointer) {
        write(UInt32(string.count))
        bytes.writeBytes(string)
    }

    package mutating func begin(_ type: SFTPPacketType, id: UInt32) {
        start = bytes.writerIndex
        write(UInt32(0))
        bytes.writeInteger(type.rawValue)
        write(id)
    }

    package mutating func end() {
        bytes.setInteger(UInt32(bytes.writerIndex - start - 4), at: start)
    }

    package mutating func status(_ status: SFTPStatus, id: UInt32) {
        begin(.status, id: id)
        write(status.code.rawValue)
        write(status.text)
        write("en")
        end()
    }

    package mutating func handle(_ handle: SFTPHandle, id: UInt32) {
        begin(.handle, id: id)
        write(UInt32(SFTPHandle.length))
        write(handle.server)
        write(handle.number)
        end()
    }

    package mutating func attributes(_ attributes: SFTPAttributes, id: UInt32) {
        begin(.attributes, id: id)
        attributes.write(to: &self)
        end()
    }

    /// One name, as REALPATH and READLINK answer.
    package mutating func name(_ name: String, id: UInt32) {
        begin(.name, id: id)
        write(UInt32(1))
        write(name)
        write(name)
        write(UInt32(0))
        end()
    }

    /// Version 3, with what is served beyond it.
    package mutating func version(_ extensions: some Sequence<SFTPExtension>) {
        start = bytes.writerIndex
        write(UInt32(0))
        bytes.writeInteger(SFTPPacketType.version.rawValue)
        write(UInt32(3))
        for one in extensions {
            write(one.rawValue)
            write(one.version)
        }
        end()
    }

    package mutating func limits(id: UInt32) {
        begin(.extendedReply, id: id)
        write(UInt64(SFTPLimits.maximumPacket))
        write(UInt64(SFTPLimits.maximumRead))
        write(UInt64(SFTPLimits.maximumWrite))
        write(UInt64(SFTPLimits.maximumHandles))
        end()
    }

    /// Space for data that is read straight into it; `fill` returns how much there is, or less than nothing for an error.
    package mutating func data(id: UInt32, upTo count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        begin(.data, id: id)
        write(UInt32(0))
        let place = bytes.writerIndex
        var filled = 0
        bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
            filled = fill(UnsafeMutableRawBufferPointer(rebasing: space[..<count]))
            return max(filled, 0)
        }
        guard filled > 0 else {
            bytes.moveWriterIndex(to: start)
            return filled
        }
        bytes.setInteger(UInt32(filled), at: place - 4)
        end()
        return filled
    }

    package mutating func removeAll() { bytes.clear() }
}
