import NIOCore
import SSHClient

/// A connection from this machine's own network.
final class OutsideConnection: DialedConnection {
    private let channel: any Channel
    private let holder: HoldHandler

    init(_ channel: any Channel, _ holder: HoldHandler) {
        self.channel = channel
        self.holder = holder
    }

    func glue(to app: any Channel) {
        guard channel.isActive else { return AbortiveClose.close(app) }
        do {
            try RelayHandler.join(app, channel)
            holder.release()
        } catch {
            close()
            AbortiveClose.close(app)
        }
    }

    func close() { AbortiveClose.close(channel) }
}
