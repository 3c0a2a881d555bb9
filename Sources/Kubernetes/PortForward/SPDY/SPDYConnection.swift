package import NIOCore

/// The client's half of SPDY/3.1 as port-forwards of API servers speak it: one stream of errors and one of data, opened by the
/// client. As at the other end (moby/spdystream) there is no flow control: that is the connection's.
///
/// States: opening → open, at the reply to the stream of data. Either may become failed, which is final: what comes after it is
/// dropped. Each direction of each stream ends by itself.
package struct SPDYConnection {
    package enum Effect: Hashable {
        case opened
        case received(ByteBuffer)
        /// No more data will come, and no error: as kubectl has it, only that tells how they ended.
        case ended
        /// Bytes for the server.
        case send(ByteBuffer)
        case failed(KubernetesError)
    }

    private enum State { case opening, open, failed }

    private enum Reading {
        case head
        case control(SPDYFrame)
        case data(stream: UInt32, remaining: Int, isLast: Bool)
    }

    /// Odd, as those of clients are (§2.3.2).
    private static let errorStream: UInt32 = 1
    private static let dataStream: UInt32 = 3
    /// A server's are the headers of a reply, of which it has none, and settings: far below this.
    static let longestControl = 16 << 10
    /// kubelet's is a line.
    static let longestError = 4096
    /// Of one frame to the server, which holds it as a whole.
    static let dataLength = 32 << 10

    private let port: UInt16
    private var headers = SPDYHeaders()
    private var nextPing: UInt32 = 1
    private var state = State.opening
    private var reading = Reading.head
    /// The part that is there of a head or a control frame.
    private var held = ByteBuffer()
    private var errorText = ByteBuffer()
    private var dataEnded = false
    private var errorsEnded = false
    private var hasFinished = false

    package init(port: UInt16) { self.port = port }

    /// Whether all is at its end.
    var isDone: Bool { dataEnded && errorsEnded && hasFinished }

    // MARK: To the server

    /// The first that is sent: both streams, and the end of ours of errors, of which we have none.
    package mutating func open() -> ByteBuffer {
        var output = ByteBuffer()
        for (stream, type) in [(Self.errorStream, "error"), (Self.dataStream, "data")] {
            let block = headers.block(["streamtype": type, "port": String(port), "requestid": "0"])
            SPDYFrame(.control(.synStream), length: 10 + block.readableBytes).write(into: &output)
            output.writeInteger(stream)
            // No stream that it belongs to, the highest priority and no slot (§2.6.1).
            output.writeInteger(UInt32(0))
            output.writeInteger(UInt16(0))
            output.writeImmutableBuffer(block)
            if stream == Self.errorStream {
                SPDYFrame(.data(stream: stream), flags: SPDYFrame.finFlag, length: 0).write(into: &output)
            }
        }
        return output
    }

    /// In frames; empty once `finish` was called.
    func frames(of data: ByteBuffer, allocator: ByteBufferAllocator) -> ByteBuffer {
        guard !hasFinished else { return ByteBuffer() }
        var data = data
        let count = (data.readableBytes + Self.dataLength - 1) / Self.dataLength
        var output = allocator.buffer(capacity: data.readableBytes + count * SPDYFrame.headLength)
        while let slice = data.readSlice(length: min(data.readableBytes, Self.dataLength)), slice.readableBytes > 0 {
            SPDYFrame(.data(stream: Self.dataStream), length: slice.readableBytes).write(into: &output)
            output.writeImmutableBuffer(slice)
        }
        return output
    }

    /// The end of our data.
    mutating func finish() -> ByteBuffer {
        guard !hasFinished else { return ByteBuffer() }
        hasFinished = true
        var output = ByteBuffer()
        SPDYFrame(.data(stream: Self.dataStream), flags: SPDYFrame.finFlag, length: 0).write(into: &output)
        return output
    }

    /// Odd ones are ours (§2.6.5).
    mutating func ping() -> ByteBuffer {
        defer { nextPing &+= 2 }
        return Self.pingFrame(nextPing)
    }

    private static func pingFrame(_ id: UInt32) -> ByteBuffer {
        var output = ByteBuffer()
        SPDYFrame(.control(.ping), length: 4).write(into: &output)
        output.writeInteger(id)
        return output
    }

    // MARK: From the server

    /// Takes what it can of the bytes; called until there is no effect.
    package mutating func receive(_ bytes: inout ByteBuffer) -> Effect? {
        do throws(KubernetesError) {
            while state != .failed {
                switch reading {
                case .head:
                    guard gather(SPDYFrame.headLength, from: &bytes), let frame = try SPDYFrame(reading: &held) else {
                        return nil
                    }
                    try begin(frame)
                case .control(let frame):
                    guard gather(frame.length, from: &bytes) else { return nil }
                    reading = .head
                    var payload = held
                    held.clear()
                    if let effect = try control(frame, &payload) { return effect }
                case .data(_, 0, false): reading = .head
                case .data(let stream, 0, true):
                    reading = .head
                    if let effect = try ended(stream) { return effect }
                case .data(let stream, let remaining, let isLast):
                    guard let part = bytes.readSlice(length: min(bytes.readableBytes, remaining)),
                        part.readableBytes > 0
                    else { return nil }
                    reading = .data(stream: stream, remaining: remaining - part.readableBytes, isLast: isLast)
                    if stream == Self.dataStream { return .received(part) }
                    let room = Self.longestError - errorText.readableBytes
                    errorText.writeImmutableBuffer(
                        part.getSlice(
                            at: part.readerIndex, length: min(part.readableBytes, room)) ?? ByteBuffer())
                }
            }
        } catch {
            state = .failed
            return .failed(error)
        }
        bytes.clear()
        return nil
    }

    /// The connection is at its end; an error that was still being told is told.
    package mutating func end() -> Effect? {
        guard state != .failed else { return nil }
        let error = told ?? (dataEnded ? nil : KubernetesError(.unreachable, "the API server closed the stream"))
        state = .failed
        return error.map { .failed($0) }
    }

    /// Whether so many bytes are held.
    private mutating func gather(_ count: Int, from bytes: inout ByteBuffer) -> Bool {
        let missing = count - held.readableBytes
        if missing > 0, var part = bytes.readSlice(length: min(missing, bytes.readableBytes)) {
            held.writeBuffer(&part)
        }
        return held.readableBytes == count
    }

    private mutating func begin(_ frame: SPDYFrame) throws(KubernetesError) {
        held.clear()
        switch frame.kind {
        case .data(let stream):
            guard stream == Self.errorStream || stream == Self.dataStream && state == .open else {
                throw .spdy("data of stream \(stream), which is not open")
            }
            guard !(stream == Self.dataStream ? dataEnded : errorsEnded) else { throw .spdy("data after their end") }
            reading = .data(
                stream: stream, remaining: frame.length, isLast: frame.flags & SPDYFrame.finFlag != 0)
        case .control(let type):
            guard frame.length <= Self.longestControl else {
                throw .spdy("a control frame of \(frame.length) bytes, the longest is \(Self.longestControl)")
            }
            let isWhole =
                switch type {
                case .ping: frame.length == 4
                case .rstStream, .goAway, .windowUpdate: frame.length == 8
                case .synReply, .headers, .settings: frame.length >= 4
                case .synStream, nil: true
                }
            guard isWhole else { throw .spdy("a control frame of \(frame.length) bytes, which does not fit its type") }
            reading = .control(frame)
        }
    }

    private mutating func control(
        _ frame: SPDYFrame, _ payload: inout ByteBuffer
    ) throws(KubernetesError) -> Effect? {
        guard case .control(let type?) = frame.kind, let first: UInt32 = payload.readInteger() else { return nil }
        // Of the number of a stream the first bit is not used.
        let stream = first & 0x7fff_ffff
        switch type {
        case .synReply: return stream == Self.dataStream ? try opened(frame) : nil
        case .headers: return frame.flags & SPDYFrame.finFlag != 0 ? try ended(stream) : nil
        case .rstStream:
            if state == .open, stream == Self.errorStream { return errorsEnded ? nil : try ended(stream) }
            // Once its data are at their end, a stream is reset to be rid of it.
            guard state == .opening || stream == Self.dataStream && !dataEnded else { return nil }
            throw told ?? KubernetesError(.unreachable, "the pod's port is closed")
        case .ping: return first & 1 == 0 ? .send(Self.pingFrame(first)) : nil
        case .goAway:
            // What was opened before it goes on.
            guard stream < Self.dataStream else { return nil }
            throw KubernetesError(.unreachable, "the API server takes no more streams")
        case .synStream: throw .spdy("stream \(stream) of the server's own")
        case .settings, .windowUpdate: return nil
        }
    }

    private mutating func opened(_ frame: SPDYFrame) throws(KubernetesError) -> Effect? {
        guard state == .opening else { throw .spdy("a second reply") }
        state = .open
        if frame.flags & SPDYFrame.finFlag != 0 { reading = .data(stream: Self.dataStream, remaining: 0, isLast: true) }
        return .opened
    }

    private mutating func ended(_ stream: UInt32) throws(KubernetesError) -> Effect? {
        switch stream {
        case Self.errorStream where !errorsEnded:
            errorsEnded = true
            if let told { throw told }
        case Self.dataStream where state == .open && !dataEnded: dataEnded = true
        default: throw .spdy("an end of stream \(stream), which is not open")
        }
        return dataEnded && errorsEnded ? .ended : nil
    }

    /// What the stream of errors said so far.
    private var told: KubernetesError? {
        let text = String(buffer: errorText).trimmed
        return text.isEmpty ? nil : KubernetesError(.unreachable, text)
    }
}
