import NIOCore
import SSHProtocol

/// A `session` channel (RFC 4254 §6): one built-in command, its output, its exit status.
final class CommandChannel: @unchecked Sendable {
    private let connection: ServerConnection
    private let id: ChannelID
    private var output = ByteBuffer()
    private var errors = ByteBuffer()
    private var exitStatus: UInt32?
    /// `exec`, `shell` or `subsystem` came; a channel runs one thing.
    private(set) var isStarted = false
    private var isDone = false
    /// What the client has sent to a subsystem that is being connected: at most its window.
    private(set) var early: ByteBuffer?
    /// The client's terminal is raw: lines end in CR LF.
    var hasTerminal = false

    init(connection: ServerConnection, id: ChannelID) {
        self.connection = connection
        self.id = id
    }

    /// Runs `command`.
    func start(_ command: String, for identity: SessionIdentity, on eventLoop: any EventLoop) {
        isStarted = true
        connection.core.delegate.run(command: command, for: identity, on: eventLoop).hop(to: eventLoop)
            .assumeIsolated().whenComplete { result in
                switch result {
                case .success(let result): self.finish(result)
                case .failure(let error):
                    self.finish(CommandResult(standardError: "\(error)\n", exitStatus: 1))
                }
            }
    }

    /// A subsystem is being connected: what comes is kept for it.
    func awaitSubsystem() {
        isStarted = true
        early = ByteBuffer()
    }

    func keep(_ data: ByteBuffer) { early?.writeImmutableBuffer(data) }

    /// Ends with what is known already.
    func finish(_ result: CommandResult) {
        isStarted = true
        guard !isDone, exitStatus == nil else { return }
        output.writeString(lines(result.standardOutput))
        errors.writeString(lines(result.standardError))
        exitStatus = result.exitStatus
        resume()
        connection.scheduleFlush()
    }

    private func lines(_ text: String) -> String {
        hasTerminal ? text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n") : text
    }

    /// Sends as much as the window and the socket have room for, then exit-status, EOF and CLOSE, in this order.
    func resume() {
        guard !isDone, let exitStatus else { return }
        connection.sendData(&output, on: id)
        if output.readableBytes == 0 { connection.sendData(&errors, on: id, code: 1) }
        guard output.readableBytes == 0, errors.readableBytes == 0 else {
            if connection.connection.sendWindow(id) > 0 { connection.blocked.append(id) }
            return
        }
        isDone = true
        var status = ByteBuffer()
        status.writeInteger(exitStatus)
        connection.connection.sendChannelRequest(id, "exit-status", wantsReply: false, status)
        connection.connection.sendEOF(id)
        connection.connection.close(id)
        connection.scheduleFlush()
    }

    /// The client is gone.
    func part() { isDone = true }
}
