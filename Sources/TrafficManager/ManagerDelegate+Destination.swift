import Kubernetes
import NIOCore
import SSHProtocol
import SSHServer

/// Where a host and a port lead: the directory first, then what the egress policy leaves.
extension ManagerDelegate {
    func destination(host: String, port: UInt16, on eventLoop: any EventLoop) -> EventLoopFuture<Destination> {
        func refused(_ reason: OpenFailure.Reason, _ text: String) -> EventLoopFuture<Destination> {
            eventLoop.makeSucceededFuture(.refused(OpenFailure(reason, text)))
        }
        guard port != 0 else { return refused(.connectFailed, "port 0 cannot be connected to") }

        switch directory.resolve(host: host, port: port, namespace: configuration.namespace) {
        case .endpoints(let endpoints):
            return eventLoop.makeSucceededFuture(Destination(.success(endpoints)))
        case .noEndpoints(let service):
            return refused(.connectFailed, "service \(service) has no ready endpoints")
        case .noSuchPort(let service, let port, let ports):
            return refused(.connectFailed, noSuchPort(port, of: service, ports: ports, transport: .tcp))
        case .external(let target, let port):
            return outside(target, port: port, isAlias: true, on: eventLoop).map(Destination.init)
        case .unknown:
            return outside(host, port: port, isAlias: false, on: eventLoop).map(Destination.init)
        }
    }

    func noSuchPort(_ port: UInt16, of service: String, ports: [UInt16], transport: TransportProtocol) -> String {
        let has =
            ports.isEmpty
            ? "it has no \(transport.rawValue) port"
            : "it has \(ports.prefix(8).map(String.init).joined(separator: ", "))\(ports.count > 8 ? ", …" : "")"
        return "service \(service) has no port \(port) (\(has))"
    }

    /// `isAlias`: an ExternalName service of the cluster names this host.
    func outside(
        _ host: String, port: UInt16, isAlias: Bool, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Result<[Endpoint], OpenFailure>> {
        if let address = IPAddress(host) {
            let outcome = endpoints(of: host, addresses: [address], port: port)
            guard let pods, configuration.egress.verdict(on: address) == .outsideCluster else {
                return eventLoop.makeSucceededFuture(outcome)
            }
            return pods.contains(address, on: eventLoop).map { isPod in
                isPod ? .success([Endpoint(address: address, port: port)]) : outcome
            }
        }
        guard HostName(host) != nil else {
            return eventLoop.makeSucceededFuture(
                .failure(OpenFailure(.connectFailed, "\(host.shortened) is not the name of a host")))
        }
        // A name of the cluster that is not there is nobody else's either.
        let missing = isAlias ? nil : missingService(host)
        if let missing, missing.isCertain || configuration.egress.mode == .cluster {
            return eventLoop.makeSucceededFuture(.failure(OpenFailure(.connectFailed, missing.text)))
        }
        guard configuration.egress.mode == .any else {
            return eventLoop.makeSucceededFuture(.failure(outsideCluster(host)))
        }
        return resolver.resolve(host, on: eventLoop).map { addresses in
            endpoints(of: host, addresses: addresses, port: port)
        }.flatMapErrorThrowing { error in
            let failure = error as? SystemResolver.Failure
            let text = missing?.text ?? "\(host.shortened): \(failure?.description ?? "it cannot be looked up")"
            return .failure(OpenFailure(failure?.isBusy == true ? .resourceShortage : .connectFailed, text))
        }
    }

    private func endpoints(
        of host: String, addresses: [IPAddress], port: UInt16
    ) -> Result<[Endpoint], OpenFailure> {
        let egress = configuration.egress
        let allowed = addresses.filter { egress.verdict(on: $0) == .allowed }
        if !allowed.isEmpty {
            return .success(allowed.map { Endpoint(address: $0, port: port) })
        }
        if let own = addresses.first(where: { egress.verdict(on: $0) == .ownHost }) {
            let what = IPAddress(host) == nil ? "\(host.shortened) (\(own))" : host
            return .failure(
                OpenFailure(
                    .administrativelyProhibited,
                    "\(what) is the manager's own host (the manager runs without --egress-loopback)"))
        }
        return .failure(outsideCluster(host))
    }

    private func outsideCluster(_ host: String) -> OpenFailure {
        OpenFailure(
            .administrativelyProhibited,
            "\(host.shortened) is not in the cluster (the manager runs with --egress cluster)")
    }

    /// A name that is written like one of the cluster.
    private struct MissingService {
        var text: String
        /// It ends in the cluster's domain or in `svc`: nobody else could mean it.
        var isCertain: Bool
    }

    private func missingService(_ host: String) -> MissingService? {
        guard let name = HostName(host) else { return nil }
        let snapshot = directory.snapshot
        var labels = name.labels[...]
        // RFC 6761 §6.3: the host itself, wherever it is asked for.
        guard labels.last != "localhost" else { return nil }
        let domain = snapshot.domainLabels
        var isCertain = false
        if labels.count > domain.count, Array(labels.suffix(domain.count)) == domain {
            labels = labels.dropLast(domain.count)
            isCertain = true
        }
        if let kind = labels.last, kind == "svc" || kind == "pod", labels.count > 1 {
            labels = labels.dropLast()
            isCertain = true
        }
        let namespace: String
        switch labels.count {
        case 1 where !name.isAbsolute || isCertain:
            namespace = configuration.namespace
        case 2... where isCertain || snapshot.namespaces.contains(labels.last ?? ""):
            namespace = labels.last ?? ""
        default:
            return nil
        }
        return MissingService(text: text(host, namespace, snapshot), isCertain: isCertain)
    }

    private func text(_ host: String, _ namespace: String, _ snapshot: DirectorySnapshot) -> String {
        guard snapshot.namespaces.contains(namespace) else {
            return "\(host.shortened): no such namespace \(namespace.shortened)"
        }
        let known = snapshot.services.lazy.filter { $0.namespace == namespace }.map(\.name)
        guard !known.isEmpty else {
            return "\(host.shortened): no such service, namespace \(namespace.shortened) has none"
        }
        let shown = known.prefix(5).joined(separator: ", ")
        let more = known.dropFirst(5).isEmpty ? "" : ", …"
        return "\(host.shortened): no such service in namespace \(namespace.shortened) (known: \(shown)\(more))"
    }
}

extension Destination {
    fileprivate init(_ outcome: Result<[Endpoint], OpenFailure>) {
        switch outcome {
        case .success(let endpoints): self = .addresses(endpoints.compactMap { try? $0.socketAddress() })
        case .failure(let failure): self = .refused(failure)
        }
    }
}

extension DirectorySnapshot {
    /// Whether a name is one of the cluster's, whatever its ports.
    func contains(host: String, namespace: String) -> Bool {
        switch resolve(host: host, port: 0, namespace: namespace) {
        case .unknown: false
        default: true
        }
    }
}
