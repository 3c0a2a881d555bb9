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
            let addresses = endpoints.compactMap { try? $0.socketAddress() }
            return eventLoop.makeSucceededFuture(.addresses(addresses))
        case .noEndpoints(let service):
            return refused(.connectFailed, "service \(service) has no ready endpoints")
        case .noSuchPort(let service, let port, let ports):
            let has =
                ports.isEmpty
                ? "it has no TCP port"
                : "it has \(ports.prefix(8).map(String.init).joined(separator: ", "))\(ports.count > 8 ? ", …" : "")"
            return refused(.connectFailed, "service \(service) has no port \(port) (\(has))")
        case .external(let target, let port):
            return outside(target, port: port, isAlias: true, on: eventLoop)
        case .unknown:
            return outside(host, port: port, isAlias: false, on: eventLoop)
        }
    }

    /// `isAlias`: an ExternalName service of the cluster names this host.
    private func outside(
        _ host: String, port: UInt16, isAlias: Bool, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Destination> {
        if let address = IPAddress(host) {
            return eventLoop.makeSucceededFuture(destination(of: host, addresses: [address], port: port))
        }
        guard HostName(host) != nil else {
            return eventLoop.makeSucceededFuture(
                .refused(OpenFailure(.connectFailed, "\(host.shortened) is not the name of a host")))
        }
        // A name of the cluster that is not there is nobody else's either.
        let missing = isAlias ? nil : missingService(host)
        if let missing, missing.isCertain || configuration.egress.mode == .cluster {
            return eventLoop.makeSucceededFuture(.refused(OpenFailure(.connectFailed, missing.text)))
        }
        guard configuration.egress.mode == .any else {
            return eventLoop.makeSucceededFuture(.refused(outsideCluster(host)))
        }
        return resolver.resolve(host, on: eventLoop).map { addresses in
            destination(of: host, addresses: addresses, port: port)
        }.flatMapErrorThrowing { error in
            let failure = error as? SystemResolver.Failure
            let text = missing?.text ?? "\(host.shortened): \(failure?.description ?? "it cannot be looked up")"
            return .refused(OpenFailure(failure?.isBusy == true ? .resourceShortage : .connectFailed, text))
        }
    }

    private func destination(of host: String, addresses: [IPAddress], port: UInt16) -> Destination {
        let egress = configuration.egress
        let allowed = addresses.filter { egress.verdict(on: $0) == .allowed }
        if !allowed.isEmpty {
            return .addresses(allowed.compactMap { try? Endpoint(address: $0, port: port).socketAddress() })
        }
        if let own = addresses.first(where: { egress.verdict(on: $0) == .ownHost }) {
            let what = IPAddress(host) == nil ? "\(host.shortened) (\(own))" : host
            return .refused(
                OpenFailure(
                    .administrativelyProhibited,
                    "\(what) is the manager's own host (the manager runs without --egress-loopback)"))
        }
        return .refused(outsideCluster(host))
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

extension DirectorySnapshot {
    /// Whether a name is one of the cluster's, whatever its ports.
    func contains(host: String, namespace: String) -> Bool {
        switch resolve(host: host, port: 0, namespace: namespace) {
        case .unknown: false
        default: true
        }
    }
}
