import IPPacket
import Logging
import NIOCore
import SSHClient

/// The datagrams of all associations of a listener, over one channel of the session. Confined to the pool's event loop.
final class SOCKSDatagrams {
    /// Each holds a descriptor.
    static let maximumAssociations = 256

    private var flows: DatagramFlows?
    private let pool: SSHClientPool
    private let logger: Logger
    private var owners: [DatagramFlowID: SOCKSAssociation] = [:]
    private var next: UInt32 = 0
    private var associations = 0

    init(pool: SSHClientPool, logger: Logger) {
        self.pool = pool
        self.logger = logger
    }

    /// Whether there is room for one more association.
    func enter() -> Bool {
        guard associations < Self.maximumAssociations else { return false }
        associations += 1
        return true
    }

    func leave() { associations -= 1 }

    func open(host: String, port: UInt16, for association: SOCKSAssociation) -> DatagramFlowID {
        repeat { next &+= 1 } while owners[DatagramFlowID(rawValue: next)] != nil
        let id = DatagramFlowID(rawValue: next)
        owners[id] = association
        channel.open(id, host: host, port: port)
        return id
    }

    func send(_ bytes: ByteBuffer, on id: DatagramFlowID) { channel.send(bytes, on: id) }

    func flush() { flows?.flush() }

    func close(_ id: DatagramFlowID) {
        owners[id] = nil
        flows?.close(id)
    }

    func shutDown() {
        flows?.shutDown()
        flows = nil
        owners = [:]
    }

    private var channel: DatagramFlows {
        if let flows { return flows }
        let made = DatagramFlows(pool: pool, logger: logger) { [weak self] event in self?.handle(event) }
        flows = made
        return made
    }

    private func handle(_ event: DatagramFlows.Event) {
        switch event {
        case .datagram(let id, let bytes):
            owners[id]?.received(bytes, on: id)
        case .closed(let id), .failed(let id, _):
            // SOCKS has no words for what became of a datagram.
            owners[id]?.ended(id)
            close(id)
        case .echo:
            break
        }
    }
}
