import CLinux
import Glibc
import IPPacket

/// The descriptor of a TUN device, or of anything that takes and gives whole packets. Used by one thread at a time.
struct TunnelDevice: ~Copyable {
    enum ReadResult {
        /// It begins after the header, of which the device alone knows.
        case packet(UnsafeMutableRawBufferPointer, isPartial: Bool)
        case nothing
        case failed(CInt)
    }

    /// Bytes of the longest packet, with the header that a device may put before it.
    static let maximumRead = Int(CLINUX_TUNNEL_HEADER) + InternetPacket.maximumLength

    let descriptor: CInt
    private let headerLength: Int
    private let buffer: UnsafeMutableRawBufferPointer

    /// Takes the descriptor over; throws an errno.
    init(_ descriptor: CInt) throws(ErrorNumber) {
        let code = clinux_tunnel_prepare(descriptor)
        guard code >= 0 else { throw ErrorNumber(code: -code) }
        self.descriptor = descriptor
        headerLength = code == 1 ? Int(CLINUX_TUNNEL_HEADER) : 0
        buffer = .allocate(byteCount: headerLength + InternetPacket.maximumLength, alignment: 16)
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    struct ErrorNumber: Error {
        var code: CInt
    }

    /// The next packet, in memory that the next read takes again.
    func read() -> ReadResult {
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 { return packet(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothing
            default: return .failed(errno)
            }
        }
    }

    /// What somebody else has read from the descriptor, as if it were read here.
    func read(_ bytes: UnsafeRawBufferPointer) -> ReadResult {
        guard bytes.count <= buffer.count else { return .nothing }
        buffer.copyMemory(from: bytes)
        return packet(bytes.count)
    }

    private func packet(_ count: Int) -> ReadResult {
        guard count > headerLength else { return .nothing }
        return .packet(
            UnsafeMutableRawBufferPointer(rebasing: buffer[headerLength..<count]),
            isPartial: headerLength > 0 && buffer[0] & UInt8(CLINUX_TUNNEL_NEEDS_CHECKSUM) != 0)
    }

    /// Gives the packet that was read last back, changed; what the device said of it holds still. A device that takes
    /// none at the moment loses it, as a wire would.
    func writeBack(_ packet: UnsafeMutableRawBufferPointer) {
        _ = Glibc.write(descriptor, buffer.baseAddress, headerLength + packet.count)
    }

    func write(_ packet: UnsafeRawBufferPointer) {
        if headerLength == 0 {
            _ = Glibc.write(descriptor, packet.baseAddress, packet.count)
        } else {
            _ = clinux_tunnel_write(descriptor, packet.baseAddress, packet.count)
        }
    }
}
