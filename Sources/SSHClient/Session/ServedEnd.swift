import NIOCore

/// An app that is a piece of this program: what comes is served within the session's turn, without a socket.
///
/// Requests wait while answers do, so what is held is bounded by the channel's window and by what one call returns.
final class ServedEnd: FlowEnd {
    private unowned let session: SSHClientHandler
    private let service: any ChannelService
    private var flow: Flow?
    private var input = ByteBuffer()
    /// The manager sends no more.
    private var sawEnd = false
    private var isServing = false

    init(_ service: any ChannelService, session: SSHClientHandler) {
        self.service = service
        self.session = session
    }

    /// What comes after the end is dropped.
    var isWritable: Bool { flow.map { session.wantsMore($0) } ?? true }

    func begin(_ flow: Flow) { self.flow = flow }

    func write(_ bytes: ByteBuffer) {
        guard flow != nil else { return }
        if input.readableBytes == 0 {
            input = bytes
        } else {
            input.discardReadBytes()
            input.writeImmutableBuffer(bytes)
        }
        serve()
    }

    func read() {
        serve()
        if let flow, session.wantsMore(flow) { session.appDrained(flow) }
    }

    /// As long as answers leave.
    private func serve() {
        // An answer that leaves at once asks for more from within.
        guard !isServing else { return }
        isServing = true
        defer {
            isServing = false
            // The session reads into the same buffer again, unless somebody holds it.
            if input.readableBytes == 0 { input = ByteBuffer() }
        }
        while let flow, session.wantsMore(flow) {
            do {
                guard let answer = try service.serve(&input) else {
                    if sawEnd { end(flow) }
                    return
                }
                session.received(answer, from: flow)
            } catch {
                return end(flow)
            }
        }
    }

    private func end(_ flow: Flow) {
        self.flow = nil
        service.end()
        session.appEnded(flow)
    }

    func endOutput() {
        sawEnd = true
        serve()
    }

    func finish() { abort() }

    func abort() {
        guard flow != nil else { return }
        flow = nil
        service.end()
    }
}
