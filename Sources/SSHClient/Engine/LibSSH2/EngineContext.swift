import CLibssh2
import Glibc
import NIOCore
import SSHProtocol

/// What libssh2's callbacks reach: the bytes in, the bytes out, and the memory.
///
/// SEND always accepts: a short write would make every other call that sends fail (LIBSSH2_ERROR_BAD_USE). The owner
/// keeps the output bounded by looking at it before it writes. RECV hands out at most `quota` bytes in a turn, since
/// libssh2 reads until there is nothing left, and packets that wait long have left the processor's caches.
final class EngineContext {
    var memory = EngineMemory()
    var inbound = ByteBuffer()
    var outbound: ByteBuffer
    var quota = 0
    var reachedEOF = false

    /// What the manager said in SSH_MSG_DISCONNECT.
    var disconnectText: String?
    /// The last SSH_MSG_DEBUG: a manager says there why it refuses a remote forward, for which the protocol has no text.
    var debugText: String?
    /// The answer to the open under way. libssh2 keeps the reason's number only, so it is read as the message is freed.
    var openFailure: OpenFailure?
    var awaitsOpenAnswer = false
    var awaitsListenAnswer = false
    /// The local number of the channel whose open was confirmed last.
    var confirmedChannel: UInt32?
    /// Channels whose EOF, then whose CLOSE has come: a CLOSE without EOF is an abort.
    var endings: [UInt32: Ending] = [:]
    var numbers = ChannelNumbers()
    /// The channel of the data freed last: how an accepted channel's number is learnt.
    var dataChannel: UInt32?

    /// Above the channels a session holds; a peer that ends channels nobody opened fills no memory.
    private static let maximumEndings = 16_384

    enum Ending { case ended, closed, aborted }

    init(outboundCapacity: Int) {
        outbound = ByteBufferAllocator().buffer(capacity: outboundCapacity)
    }

    /// Serves RECV: a count, 0 at the end of the stream, or `-EAGAIN`.
    func receive(into pointer: UnsafeMutableRawPointer, _ length: Int) -> Int {
        let available = inbound.readableBytes
        if available == 0 { return reachedEOF ? 0 : -Int(EAGAIN) }
        let count = min(length, available, quota)
        guard count > 0 else { return -Int(EAGAIN) }
        inbound.readWithUnsafeReadableBytes { bytes in
            if let base = bytes.baseAddress { pointer.copyMemory(from: base, byteCount: count) }
            return count
        }
        quota -= count
        // Gives the storage back to the socket's reader.
        if count == available { inbound = Self.empty }
        return count
    }

    private static let empty = ByteBuffer()

    func ending(of channel: EngineChannel) -> Ending? {
        (channel.number ?? channel.likelyNumber).flatMap { endings[$0] }
    }

    /// Looks at a block that libssh2 is done with: the messages that its API does not show.
    ///
    /// The block may hold anything; a message it resembles is acted on only where that does no harm.
    func released(_ pointer: UnsafeMutableRawPointer) {
        let size = EngineMemory.size(of: pointer)
        guard size >= 5 else { return }
        let number = pointer.load(as: UInt8.self)
        guard number >= MessageNumber.channelOpen, number <= MessageNumber.channelClose else { return }
        if number == MessageNumber.channelOpen {
            return channelOpened(UnsafeRawBufferPointer(start: pointer, count: size))
        }
        let channel = UInt32(bigEndian: (pointer + 1).loadUnaligned(as: UInt32.self))
        switch number {
        case MessageNumber.channelData:
            dataChannel = channel
        case MessageNumber.channelEOF where endings.count < Self.maximumEndings:
            if endings[channel] == nil { endings[channel] = .ended }
        case MessageNumber.channelClose where endings.count < Self.maximumEndings:
            endings[channel] = endings[channel] == nil ? .aborted : .closed
        case MessageNumber.channelOpenConfirmation where awaitsOpenAnswer:
            confirmedChannel = channel
        case MessageNumber.channelOpenFailure where awaitsOpenAnswer:
            openFailure = Self.openFailure(UnsafeRawBufferPointer(start: pointer, count: size))
        default:
            break
        }
    }

    /// RFC 4254 §7.2: byte 90, string type, uint32 sender, uint32 window, uint32 packet, string address, uint32 port.
    private func channelOpened(_ bytes: UnsafeRawBufferPointer) {
        let type = "forwarded-tcpip"
        let start = 1 + 4 + type.utf8.count + 12
        guard bytes.count >= start + 8, bytes[5..<5 + type.utf8.count].elementsEqual(type.utf8) else { return }
        let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        guard length <= bytes.count - start - 8 else { return }
        let address = String(decoding: bytes[start + 4..<start + 4 + length], as: UTF8.self)
        let port = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: start + 4 + length, as: UInt32.self))
        numbers.arrived(address: address, port: port)
    }

    /// RFC 4254 §5.1: byte 92, uint32 recipient, uint32 reason, string description, string language.
    private static func openFailure(_ bytes: UnsafeRawBufferPointer) -> OpenFailure? {
        guard bytes.count >= 13 else { return nil }
        let reason = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 5, as: UInt32.self))
        let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 9, as: UInt32.self)))
        guard length <= min(bytes.count - 13, 4096) else { return nil }
        let text = String(decoding: bytes[13..<13 + length], as: UTF8.self)
        return OpenFailure(OpenFailure.Reason(rawValue: reason) ?? .connectFailed, PeerText.printable(text))
    }

    static func from(_ abstract: UnsafeMutablePointer<UnsafeMutableRawPointer?>?) -> EngineContext? {
        guard let opaque = abstract?.pointee else { return nil }
        return Unmanaged<EngineContext>.fromOpaque(opaque).takeUnretainedValue()
    }
}
