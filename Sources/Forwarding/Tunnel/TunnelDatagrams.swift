import IPPacket
import Logging
import NIOCore
import SSHClient

/// Where the tunnel's datagrams and echoes go: to the cluster over one channel, or out of sockets of this machine.
/// Confined to the pool's event loop.
final class TunnelDatagrams {
    private enum End {
        case cluster
        case outside(OutsideFlow)
        case nowhere
    }

    var dialing: any TunnelDialing
    private let eventLoop: any EventLoop
    private let exchange: TunnelExchange
    private let cluster: DatagramFlows
    private var ends: [DatagramFlowID: End] = [:]
    private var isClosed = false

    init(pool: SSHClientPool, dialing: any TunnelDialing, exchange: TunnelExchange, logger: Logger) {
        self.dialing = dialing
        self.exchange = exchange
        eventLoop = pool.eventLoop
        cluster = DatagramFlows(pool: pool, logger: logger) { event in
            switch event {
            case .datagram(let id, let bytes):
                bytes.withUnsafeReadableBytes { exchange.post(.datagram(id, length: $0.count), $0) }
            case .echo(let id, let identifier, let sequence, let bytes):
                bytes.withUnsafeReadableBytes {
                    exchange.post(.echo(id, identifier: identifier, sequence: sequence, length: $0.count), $0)
                }
            case .failed(let id, let error):
                exchange.post(.failed(id, error))
            case .closed(let id):
                exchange.post(.closed(id))
            }
        }
    }

    // MARK: UDP

    func open(_ id: DatagramFlowID, _ address: InternetAddress, _ port: UInt16) {
        guard !isClosed else { return }
        switch dialing.place(of: address) {
        case .cluster(let host):
            ends[id] = .cluster
            cluster.open(id, host: host, port: port)
        case .outside(let address):
            ends[id] = .outside(OutsideFlow(id, .udp, to: address, port: port, on: eventLoop, exchange: exchange))
        case .nowhere:
            ends[id] = .nowhere
        }
    }

    func send(_ bytes: ByteBuffer, on id: DatagramFlowID) {
        switch ends[id] {
        case .cluster?: cluster.send(bytes, on: id)
        case .outside(let flow)?: flow.send(bytes)
        case .nowhere?: exchange.post(.failed(id, .prohibited))
        case nil: break
        }
    }

    func close(_ id: DatagramFlowID) {
        switch ends.removeValue(forKey: id) {
        case .cluster?: cluster.close(id)
        case .outside(let flow)?: flow.close()
        case .nowhere?, nil: break
        }
    }

    // MARK: Echo

    func echo(
        _ bytes: ByteBuffer, to address: InternetAddress, identifier: UInt16, sequence: UInt16, on id: DatagramFlowID
    ) {
        guard !isClosed else { return }
        switch dialing.place(of: address) {
        case .cluster(let host):
            cluster.echo(bytes, to: host, identifier: identifier, sequence: sequence, on: id)
        case .outside(let address):
            let flow: OutsideFlow
            if case .outside(let known)? = ends[id] {
                flow = known
            } else {
                flow = OutsideFlow(id, .echo(identifier), to: address, port: 0, on: eventLoop, exchange: exchange)
                ends[id] = .outside(flow)
            }
            flow.echo(bytes, sequence: sequence)
        case .nowhere:
            exchange.post(.failed(id, .prohibited))
        }
    }

    // MARK: Ending

    /// What was sent since the last time goes out.
    func flush() { cluster.flush() }

    func shutDown() {
        isClosed = true
        for case .outside(let flow) in ends.values { flow.close() }
        ends = [:]
        cluster.shutDown()
    }
}
