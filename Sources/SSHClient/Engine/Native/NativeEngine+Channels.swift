import NIOCore
import SSHProtocol

/// Channels (RFC 4254 §5).
extension NativeEngine {
    private func native(_ channel: EngineChannel) -> NativeChannel {
        guard case .native(let native) = channel.handle else { preconditionFailure("a channel of another engine") }
        return native
    }

    func open(
        type: String, window: UInt32, message: ByteBuffer
    ) throws(SSHClientError) -> EngineProgress<EngineChannel> {
        guard let channel = opening else {
            guard let id = connection.open(type: type, window: window, message) else {
                throw .openFailed(OpenFailure(.resourceShortage, "this session has too many channels"))
            }
            opening = keep(NativeChannel(id, .awaited))
            sendControl()
            return .again
        }
        switch channel.opening {
        case .awaited: return .again
        case .open:
            opening = nil
            return .done(EngineChannel(handle: .native(channel)))
        case .failed(let failure):
            opening = nil
            throw .openFailed(failure)
        }
    }

    func accept(_ listener: EngineListener) throws(SSHClientError) -> EngineChannel? {
        guard case .native(let native) = listener.handle else { preconditionFailure("a listener of another engine") }
        return native.waiting.popFirst().map { EngineChannel(handle: .native($0)) }
    }

    func read(
        _ channel: inout EngineChannel, into buffer: inout ByteBuffer, limit: Int
    ) throws(SSHClientError) -> EngineRead {
        let native = native(channel)
        var count = 0
        while count < limit, let first = native.received.first {
            let size = min(limit - count, first.readableBytes)
            first.withUnsafeReadableBytes { _ = buffer.writeBytes(UnsafeRawBufferPointer(rebasing: $0[..<size])) }
            count += size
            if size == first.readableBytes {
                native.received.removeFirst()
            } else {
                native.received[native.received.startIndex].moveReaderIndex(forwardBy: size)
            }
        }
        guard count > 0 else { return native.sawEOF || native.isClosed ? .endOfFile : .nothing }
        connection.consume(native.id, count)
        sendControl()
        return .bytes(count)
    }

    func write(_ channel: EngineChannel, _ bytes: ByteBuffer) throws(SSHClientError) -> Int {
        let native = native(channel)
        // What is left has nowhere to go.
        if native.isClosed || connection.hasSentEOF(native.id) { return bytes.readableBytes }
        guard transport.canSendData else { return 0 }
        return bytes.withUnsafeReadableBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty, transport.canSendData,
                let (recipient, count) = connection.grant(native.id, wanted: rest.count)
            {
                transport.sendData(to: recipient, UnsafeRawBufferPointer(rebasing: rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            return bytes.count - rest.count
        }
    }

    func sendEOF(_ channel: EngineChannel) throws(SSHClientError) -> EngineProgress<Void> {
        connection.sendEOF(native(channel).id)
        sendControl()
        return .done(())
    }

    func isClosed(_ channel: EngineChannel) throws(SSHClientError) -> Bool { native(channel).isClosed }

    func wasAborted(_ channel: EngineChannel) -> Bool {
        let native = native(channel)
        return native.isBroken || native.isClosed && !native.sawEOF
    }

    func sayBroken(_ channel: EngineChannel) throws(SSHClientError) -> EngineProgress<Void> {
        guard transport.canSendData else { return .again }
        if let (recipient, _) = connection.grant(native(channel).id, wanted: 1) {
            var byte: UInt8 = 0
            withUnsafeBytes(of: &byte) { transport.sendData(to: recipient, code: ExtendedDataType.broken, $0) }
        }
        return .done(())
    }

    func free(_ channel: EngineChannel) throws(SSHClientError) -> EngineProgress<Void> {
        let native = native(channel)
        // What waits is given back, so that nothing is held until the manager's CLOSE.
        native.received.removeAll()
        connection.sendEOF(native.id)
        connection.close(native.id)
        sendControl()
        return .done(())
    }

    func widen(_ channel: EngineChannel, by _: UInt32, to window: UInt32) throws(SSHClientError) -> Bool {
        connection.resizeWindow(native(channel).id, to: window)
        sendControl()
        return true
    }
}
