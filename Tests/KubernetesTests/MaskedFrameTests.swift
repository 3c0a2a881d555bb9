import NIOCore
import Testing

@testable import Kubernetes

@Suite struct MaskedFrameTests {
    /// As a server reads it (RFC 6455 §5.3).
    private static func read(_ frame: ByteBuffer) -> [UInt8]? {
        var frame = frame
        guard frame.readInteger(as: UInt8.self) == 0x82, let second: UInt8 = frame.readInteger(), second & 0x80 != 0
        else { return nil }
        let length: Int? =
            switch second & 0x7f {
            case 126: frame.readInteger(as: UInt16.self).map(Int.init)
            case 127: frame.readInteger(as: UInt64.self).map(Int.init)
            case let short: Int(short)
            }
        guard let length, let mask = frame.readBytes(length: 4), frame.readableBytes == length else { return nil }
        return frame.readableBytesView.enumerated().map { $1 ^ mask[$0 & 3] }
    }

    @Test(arguments: [0, 1, 2, 3, 7, 8, 9, 124, 125, 126, 1000, 32_768, 65_534, 65_535, 100_001])
    func everyLengthIsRead(_ length: Int) {
        let data = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let frame = MaskedFrame.binary(
            channel: 4, ByteBuffer(bytes: data), mask: 0x0102_fdfe, allocator: ByteBufferAllocator())
        #expect(Self.read(frame) == [4] + data)
    }
}
