import CLibssh2
import NIOCore
import SSHProtocol

/// Channels and remote forwards (RFC 4254 §5, §7). One open or listen at a time: libssh2 keeps their state in the session.
extension LibSSH2Engine {
    private func pointer(_ channel: EngineChannel) -> OpaquePointer {
        guard case .libssh2(let pointer) = channel.handle else { preconditionFailure("a channel of another engine") }
        return pointer
    }

    private func pointer(_ listener: EngineListener) -> OpaquePointer {
        guard case .libssh2(let pointer) = listener.handle else { preconditionFailure("a listener of another engine") }
        return pointer
    }

    /// What every peer accepts (RFC 4253 §6.1), and all that libssh2 takes whole.
    static let maximumPacketSize: UInt32 = 32_768
    /// libssh2 takes 32,700 bytes a call.
    static let maximumWriteSize = 32_700

    /// Lets libssh2 take up to `count` of the bytes that came, and act on them.
    ///
    /// Any call that reads does it; `channel` serves as the handle, and nothing is read from it.
    func drive(_ count: Int, through channel: EngineChannel?) throws(SSHClientError) {
        guard let channel else {
            context.quota = .max
            return
        }
        context.quota = count
        var nothing: CChar = 0
        let code = libssh2_channel_read_ex(pointer(channel), 0, &nothing, 0)
        // Other calls take none: what came with them would wait for a turn that nothing starts.
        context.quota = 0
        if code < 0, code != Int(LIBSSH2_ERROR_EAGAIN) { throw failure(code) }
    }

    func rest() { context.quota = 0 }

    func open(type: String, window: UInt32, message: ByteBuffer) throws(SSHClientError) -> EngineProgress<EngineChannel>
    {
        context.awaitsOpenAnswer = true
        context.openFailure = nil
        context.confirmedChannel = nil
        context.numbers.openBegins()
        let channel = message.withUnsafeReadableBytes { bytes in
            libssh2_channel_open_ex(
                session, type, UInt32(type.utf8.count), window, Self.maximumPacketSize,
                bytes.bindMemory(to: CChar.self).baseAddress, UInt32(bytes.count))
        }
        context.awaitsOpenAnswer = false
        let code = libssh2_session_last_errno(session)
        if channel != nil || code != LIBSSH2_ERROR_EAGAIN {
            context.numbers.openEnded(number: context.confirmedChannel)
        }
        if let channel { return .done(EngineChannel(handle: .libssh2(channel), number: context.confirmedChannel)) }
        switch code {
        case LIBSSH2_ERROR_EAGAIN:
            return .again
        case LIBSSH2_ERROR_CHANNEL_FAILURE:
            throw SSHClientError.openFailed(context.openFailure ?? OpenFailure(.connectFailed, lastError))
        case LIBSSH2_ERROR_TIMEOUT:
            // The answer may still come, and nobody would own the channel: the session is of no more use.
            throw failure(Int(code))
        default:
            throw failure(Int(code))
        }
    }

    func listen(
        address: String, port: UInt16, backlog: CInt
    ) throws(SSHClientError) -> EngineProgress<EngineListener> {
        if !context.awaitsListenAnswer { context.debugText = nil }
        context.awaitsListenAnswer = true
        var bound: CInt = CInt(port)
        if let listener = libssh2_channel_forward_listen_ex(session, address, CInt(port), &bound, backlog) {
            context.awaitsListenAnswer = false
            return .done(
                EngineListener(
                    handle: .libssh2(listener), address: address, port: UInt16(truncatingIfNeeded: bound)))
        }
        let code = libssh2_session_last_errno(session)
        if code != LIBSSH2_ERROR_EAGAIN { context.awaitsListenAnswer = false }
        switch code {
        case LIBSSH2_ERROR_EAGAIN:
            return .again
        case LIBSSH2_ERROR_REQUEST_DENIED, LIBSSH2_ERROR_PROTO:
            throw SSHClientError.listenRefused(address, port, context.debugText)
        default:
            throw failure(Int(code))
        }
    }

    func cancel(_ listener: EngineListener) throws(SSHClientError) -> EngineProgress<Void> {
        let code = libssh2_channel_forward_cancel(pointer(listener))
        if code == LIBSSH2_ERROR_EAGAIN { return .again }
        guard code == 0 else { throw failure(Int(code)) }
        return .done(())
    }

    func accept(_ listener: EngineListener) throws(SSHClientError) -> EngineChannel? {
        if let channel = libssh2_channel_forward_accept(pointer(listener)) {
            return EngineChannel(handle: .libssh2(channel), likelyNumber: context.numbers.accepted(from: listener))
        }
        let code = libssh2_session_last_errno(session)
        guard code == LIBSSH2_ERROR_EAGAIN || code == LIBSSH2_ERROR_CHANNEL_UNKNOWN else { throw failure(Int(code)) }
        return nil
    }

    func read(
        _ channel: inout EngineChannel, into buffer: inout ByteBuffer, limit: Int
    ) throws(SSHClientError) -> EngineRead {
        if channel.number == nil { context.dataChannel = nil }
        let pointer = pointer(channel)
        var code = 0
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: limit) { space in
            code = libssh2_channel_read_ex(
                pointer, 0, space.bindMemory(to: CChar.self).baseAddress, min(space.count, limit))
            return max(code, 0)
        }
        if code > 0 {
            if channel.number == nil { channel.number = context.dataChannel }
            return .bytes(code)
        }
        if code == Int(LIBSSH2_ERROR_EAGAIN) { return .nothing }
        if code == 0 { return libssh2_channel_eof(pointer) == 1 ? .endOfFile : .nothing }
        if code == Int(LIBSSH2_ERROR_CHANNEL_CLOSED) { return .endOfFile }
        throw failure(code)
    }

    func write(_ channel: EngineChannel, _ bytes: ByteBuffer) throws(SSHClientError) -> Int {
        let code = bytes.withUnsafeReadableBytes { space in
            libssh2_channel_write_ex(
                pointer(channel), 0, space.bindMemory(to: CChar.self).baseAddress,
                min(space.count, Self.maximumWriteSize))
        }
        if code >= 0 { return code }
        switch CInt(truncatingIfNeeded: code) {
        case LIBSSH2_ERROR_EAGAIN:
            return 0
        case LIBSSH2_ERROR_CHANNEL_CLOSED, LIBSSH2_ERROR_CHANNEL_EOF_SENT:
            // The manager is done with the channel; what is left has nowhere to go.
            return bytes.readableBytes
        default:
            throw failure(code)
        }
    }

    /// The bytes the manager still accepts on a channel.
    func writeWindow(_ channel: EngineChannel) -> Int {
        Int(libssh2_channel_window_write_ex(pointer(channel), nil))
    }

    func sendEOF(_ channel: EngineChannel) throws(SSHClientError) -> EngineProgress<Void> {
        let code = libssh2_channel_send_eof(pointer(channel))
        if code == LIBSSH2_ERROR_EAGAIN { return .again }
        guard code == 0 || code == LIBSSH2_ERROR_CHANNEL_CLOSED else { throw failure(Int(code)) }
        return .done(())
    }

    func isClosed(_ channel: EngineChannel) throws(SSHClientError) -> Bool {
        let code = libssh2_channel_wait_closed(pointer(channel))
        if code == LIBSSH2_ERROR_EAGAIN { return false }
        guard code == 0 else { throw failure(Int(code)) }
        return true
    }

    func sayBroken(_ channel: EngineChannel) throws(SSHClientError) -> EngineProgress<Void> {
        guard writeWindow(channel) > 0 else { return .done(()) }
        var byte: CChar = 0
        let code = libssh2_channel_write_ex(pointer(channel), CInt(bitPattern: ExtendedDataType.broken), &byte, 1)
        switch CInt(truncatingIfNeeded: code) {
        case LIBSSH2_ERROR_EAGAIN: return .again
        case 0..., LIBSSH2_ERROR_CHANNEL_CLOSED, LIBSSH2_ERROR_CHANNEL_EOF_SENT: return .done(())
        default: throw failure(code)
        }
    }

    func wasAborted(_ channel: EngineChannel) -> Bool { context.ending(of: channel) == .aborted }

    /// It waits for the manager's CLOSE.
    func free(_ channel: EngineChannel) throws(SSHClientError) -> EngineProgress<Void> {
        let code = libssh2_channel_free(pointer(channel))
        if code == LIBSSH2_ERROR_EAGAIN { return .again }
        guard code == 0 else { throw failure(Int(code)) }
        if let number = channel.number ?? channel.likelyNumber { context.endings[number] = nil }
        return .done(())
    }

    func widen(_ channel: EngineChannel, by count: UInt32, to _: UInt32) throws(SSHClientError) -> Bool {
        let code = libssh2_channel_receive_window_adjust2(pointer(channel), UInt(count), 1, nil)
        if code == LIBSSH2_ERROR_EAGAIN { return false }
        guard code == 0 else { throw failure(Int(code)) }
        return true
    }
}
