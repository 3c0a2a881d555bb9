import ControlAPI
import Forwarding
import Logging
import NIOCore
import SSHClient

/// One UDP port of the app: what comes for it is the app's, or the holder's of an intercept, with copies for wiretaps.
///
/// Who sends from one port is one flow. A flow that began under other rules begins anew. Confined to the loop of the
/// manager's sessions.
final class DatagramPort {
    /// Each holds a descriptor and some memory; the one that was silent longest makes room.
    private static let maximumFlows = 4096
    /// As conntrack has it for UDP that is answered (nf_conntrack_udp_timeout_stream is longer, its first timeout shorter).
    private static let idleTime = TimeAmount.seconds(60)
    private static let sweepInterval = TimeAmount.seconds(10)

    private let port: AgentHello.Port
    private let rules: RuleBook
    private let holders: HolderLine
    private let eventLoop: any EventLoop
    private var channel: (any Channel)?
    private var flows: [SocketAddress: DatagramFlow] = [:]
    private var sweep: Scheduled<Void>?

    init(_ port: AgentHello.Port, rules: RuleBook, holders: HolderLine) {
        self.port = port
        self.rules = rules
        self.holders = holders
        eventLoop = holders.eventLoop
    }

    func start(on address: SocketAddress) -> EventLoopFuture<Void> {
        let this = NIOLoopBound(self, eventLoop: eventLoop)
        return DatagramSockets.bind(to: address, on: eventLoop) { channel in
            try channel.pipeline.syncOperations.addHandler(DatagramPortHandler { this.value.received($0) })
        }
        .assumeIsolated().map { channel in
            self.channel = channel
            self.sweepLater()
        }
        .nonisolated()
    }

    func close() {
        sweep?.cancel()
        for flow in flows.values { flow.close() }
        flows = [:]
        channel?.close(promise: nil)
    }

    private func received(_ envelope: AddressedEnvelope<ByteBuffer>) {
        let client = envelope.remoteAddress
        let verdict = rules.verdict(port: port.agentPort, isDatagram: true)
        let flow: DatagramFlow
        if let known = flows[client], known.isAlive, known.isUnder(verdict) {
            flow = known
        } else {
            flows.removeValue(forKey: client)?.close()
            if flows.count >= Self.maximumFlows, let oldest = flows.min(by: { $0.value.lastUsed < $1.value.lastUsed }) {
                flows.removeValue(forKey: oldest.key)?.close()
            }
            flow = DatagramFlow(verdict, from: client, holders: holders) { [weak self] bytes in
                self?.channel?.writeAndFlush(AddressedEnvelope(remoteAddress: client, data: bytes), promise: nil)
            }
            flows[client] = flow
        }
        flow.send(envelope.data)
    }

    private func sweepLater() {
        sweep = eventLoop.assumeIsolated().scheduleTask(in: Self.sweepInterval) { [weak self] in self?.endIdle() }
    }

    private func endIdle() {
        sweepLater()
        let limit = NIODeadline.now() - Self.idleTime
        for (client, flow) in flows where flow.lastUsed < limit || !flow.isAlive {
            flow.close()
            flows[client] = nil
        }
    }
}
