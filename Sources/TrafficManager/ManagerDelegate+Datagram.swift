import Kubernetes
import NIOCore
import SSHProtocol
import SSHServer

/// Where datagrams and echoes lead: as connections do, after the same rules.
extension ManagerDelegate {
    func destination(
        of target: DatagramMachine.Target, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<DatagramDestination> {
        func unreachable(_ reason: DatagramFrame.Reason, _ text: String) -> EventLoopFuture<DatagramDestination> {
            eventLoop.makeSucceededFuture(.unreachable(reason, text))
        }
        // An echo has no port: what permits it is a rule for all of them.
        let (host, port): (String, UInt16) =
            switch target {
            case .udp(let host, let port): (host, port)
            case .echo(let host): (host, 0)
            }
        if let failure = session.permissions.permitsOpen(host: host, port: port) {
            return unreachable(.prohibited, failure.text)
        }
        if let name = ReservedName(host: host) {
            return unreachable(.portUnreachable, "\(name.rawValue) is reached by connections alone")
        }
        switch directory.resolve(host: host, port: port, namespace: configuration.namespace, transport: .udp) {
        case .endpoints(let endpoints):
            return eventLoop.makeSucceededFuture(.endpoints(endpoints))
        case .noEndpoints(let service):
            // As kube-proxy rejects it.
            return unreachable(
                port == 0 ? .hostUnreachable : .portUnreachable, "service \(service) has no ready endpoints")
        case .noSuchPort(let service, _, let ports):
            return port == 0
                ? unreachable(.hostUnreachable, "service \(service) answers no echo: its address is nobody's")
                : unreachable(.portUnreachable, noSuchPort(port, of: service, ports: ports, transport: .udp))
        case .external(let target, let port):
            return outsideDatagram(target, port: port, isAlias: true, on: eventLoop)
        case .unknown:
            return outsideDatagram(host, port: port, isAlias: false, on: eventLoop)
        }
    }

    private func outsideDatagram(
        _ host: String, port: UInt16, isAlias: Bool, on eventLoop: any EventLoop
    ) -> EventLoopFuture<DatagramDestination> {
        outside(host, port: port, isAlias: isAlias, on: eventLoop).map { outcome in
            switch outcome {
            case .success(let endpoints): .endpoints(endpoints)
            case .failure(let failure): .refused(failure)
            }
        }
    }
}
