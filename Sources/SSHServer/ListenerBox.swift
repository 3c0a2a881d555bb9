import NIOConcurrencyHelpers
import NIOCore

/// The sockets a server listens on.
struct ListenerBox: Sendable {
    private let channels = NIOLockedValueBox<[any Channel]>([])

    func add(_ channel: any Channel) {
        channels.withLockedValue { $0.append(channel) }
    }

    func close() async {
        let closing = channels.withLockedValue { channels in
            defer { channels = [] }
            return channels
        }
        for channel in closing {
            // One that is closed already is what is wanted.
            try? await channel.close().get()
        }
    }
}
