package import Logging
import NIOCore
import SSHProtocol
import SSHServer
import Synchronization

/// UDP and echoes of the cluster for the sessions of a manager: what is behind `datagram.telepresence`.
package final class DatagramService: Sendable {
    /// One for the tunnel, one for its proxies, and those of a client that has come back before its old ones ended.
    static let maximumChannelsPerSession = 4

    private let logger: Logger
    /// By session; those without any are not kept.
    private let channels = Mutex<[UInt64: Int]>([:])
    private let totals = Mutex(DatagramFigures())
    private let identifier = Atomic<UInt16>(.random(in: 0 ... .max))

    package init(logger: Logger) {
        self.logger = logger
    }

    package var figures: DatagramFigures { totals.withLock { $0 } }

    /// Serves one channel, whose flows lead where `resolve` says. Called on its event loop.
    func accept(
        _ channel: any Channel, session: SessionIdentity, resolve: @escaping DatagramHandler.Resolve
    ) -> EventLoopFuture<Void> {
        let isAdmitted = channels.withLock { channels in
            guard channels[session.id, default: 0] < Self.maximumChannelsPerSession else { return false }
            channels[session.id, default: 0] += 1
            return true
        }
        guard isAdmitted else { return channel.eventLoop.makeFailedFuture(TooManyChannels()) }
        channel.closeFuture.whenComplete { _ in
            self.channels.withLock { channels in
                let left = channels[session.id, default: 1] - 1
                channels[session.id] = left > 0 ? left : nil
            }
        }
        return channel.eventLoop.submit { [self] in
            // A client that has said its last will not end the flows that are open.
            try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
            try channel.syncOptions?.setOption(.writeBufferWaterMark, value: DatagramHandler.waterMark)
            try channel.pipeline.syncOperations.addHandler(DatagramHandler(service: self, resolve: resolve))
        }
    }

    /// What a client reads behind `open failed: connect failed:`.
    struct TooManyChannels: Error, CustomStringConvertible {
        var description: String {
            "the session has \(DatagramService.maximumChannelsPerSession) datagram channels, and gets no more"
        }
    }

    /// For the echoes of a raw socket: another one each time, until all were used.
    func nextIdentifier() -> UInt16 { identifier.wrappingAdd(1, ordering: .relaxed).newValue }

    func add(_ figures: DatagramFigures) {
        guard figures != DatagramFigures() else { return }
        totals.withLock { $0.add(figures) }
    }

    func report(violation: Disconnect) {
        logger.debug("datagram channel closed", metadata: ["reason": "\(violation.text)"])
    }
}
