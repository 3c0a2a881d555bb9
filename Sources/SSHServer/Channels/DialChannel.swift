import NIOCore
import SSHProtocol

/// A `dial@telepresence` channel: see `DialFrame`.
final class DialChannel: @unchecked Sendable {
    /// Answers that a client does not read: it is asking without listening above this.
    private static let maximumPending = 1 << 20

    private let connection: ServerConnection
    private let id: ChannelID
    private var received = ByteBuffer()
    private var pending = ByteBuffer()
    /// Dials under way, by the client's id. At most as many as a connection may have channels.
    private var dials: [UInt32: Dialer?] = [:]

    init(connection: ServerConnection, id: ChannelID) {
        self.connection = connection
        self.id = id
    }

    func receive(_ data: ByteBuffer) throws(Disconnect) {
        received.writeImmutableBuffer(data)
        while let frame = try DialFrame.read(from: &received, sentBy: .client) { try handle(frame) }
        received.discardReadBytes()
        connection.connection.consume(id, data.readableBytes)
    }

    private func handle(_ frame: DialFrame) throws(Disconnect) {
        switch frame {
        case .dial(let dialID, let host, let port, let originatorHost, let originatorPort):
            guard let port = UInt16(exactly: port), port > 0 else {
                return fail(dialID, OpenFailure(.connectFailed, "port \(port) is not between 1 and 65535"))
            }
            try begin(
                dialID,
                .directTCPIP(host: host, port: port, originatorHost: originatorHost, originatorPort: originatorPort))
        case .dialStreamLocal(let dialID, let path):
            try begin(dialID, .directStreamLocal(path: path))
        case .cancel(let dialID):
            if let dialer = dials.removeValue(forKey: dialID) { dialer?.cancel() }
        case .opened, .failed: break
        }
    }

    private func begin(_ dialID: UInt32, _ request: ChannelOpenRequest) throws(Disconnect) {
        guard dials[dialID] == nil else { throw .violation("dial \(dialID) is under way already") }
        guard dials.count < connection.connection.limits.channels else {
            return fail(dialID, OpenFailure(.resourceShortage, "too many dials at once"))
        }
        dials[dialID] = .some(nil)
        connection.dial(
            request,
            began: { dialer in
                if self.dials[dialID] != nil { self.dials[dialID] = .some(dialer) }
            },
            completion: { result in
                // Cancelled meanwhile, or the connection is gone.
                guard self.dials.removeValue(forKey: dialID) != nil else {
                    if case .success(let joint) = result { joint.part(reset: true) }
                    return
                }
                switch result {
                case .failure(let failure): self.fail(dialID, failure)
                case .success(let joint): self.join(dialID, joint)
                }
            })
    }

    /// Nothing waits for the client, and no target is being connected.
    var isQuiet: Bool {
        pending.readableBytes == 0 && dials.values.allSatisfy { $0 == nil }
    }

    /// Opens the channel for a connected target, and says whose it is.
    private func join(_ dialID: UInt32, _ joint: Joint) {
        var place = ByteBuffer()
        place.writeSSHString(DialFrame.bindAddress)
        place.writeInteger(DialFrame.bindPort)
        place.writeSSHString("127.0.0.1")
        place.writeInteger(dialID)
        guard connection.hasRoomForChannel else {
            joint.part(reset: true)
            return fail(dialID, OpenFailure(.resourceShortage, "too many channels"))
        }
        // The frame goes before the open, which leaves through the outbox.
        send(.opened(id: dialID))
        connection.openChannel("forwarded-tcpip", place, for: joint)
    }

    private func fail(_ dialID: UInt32, _ failure: OpenFailure) {
        send(.failed(id: dialID, reason: failure.reason.rawValue, text: failure.text))
    }

    private func send(_ frame: DialFrame) {
        frame.write(into: &pending)
        guard pending.readableBytes <= Self.maximumPending else {
            return connection.fail(.violation("the answers to dials are not read"))
        }
        resume()
    }

    func resume() {
        connection.sendData(&pending, on: id)
        if pending.readableBytes == 0 {
            pending.clear()
        } else if connection.connection.sendWindow(id) > 0 {
            connection.blocked.append(id)
        }
        connection.scheduleFlush()
    }

    /// The channel is gone, and with it who would have used the dials under way.
    func part() {
        for dialer in dials.values { dialer?.cancel() }
        dials = [:]
    }
}
