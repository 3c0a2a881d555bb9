import Kubernetes
import Logging
import NIOCore
import NIOEmbedded
import NIOPosix
import SSHProtocol
import SSHServer

@testable import TrafficManager

/// A delegate over a small cluster, and what it decides, in words.
struct DelegateHarness {
    static let objects = """
        apiVersion: v1
        kind: Service
        metadata: {name: hello, namespace: default}
        spec:
          clusterIP: 10.43.0.7
          ports: [{name: http, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]
        ---
        apiVersion: v1
        kind: Endpoints
        metadata: {name: hello, namespace: default}
        subsets:
        - addresses: [{ip: 10.42.0.5}]
          ports: [{name: http, port: 8080}, {name: https, port: 8443}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: empty, namespace: default}
        spec:
          clusterIP: 10.43.0.8
          ports: [{name: http, port: 80}]
        ---
        apiVersion: v1
        kind: Endpoints
        metadata: {name: empty, namespace: default}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: outside, namespace: default}
        spec: {type: ExternalName, externalName: example.com}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: db, namespace: data}
        spec:
          clusterIP: None
        ---
        apiVersion: v1
        kind: Endpoints
        metadata: {name: db, namespace: data}
        subsets:
        - addresses: [{ip: 10.42.1.9, hostname: db-0}]
          ports: [{port: 5432}]
        """

    static let identity = SessionIdentity(
        id: 1, user: "ada", keyFingerprint: "SHA256:abc", keyComment: "ada@laptop", clientVersion: "OpenSSH_9.2",
        sourceAddress: "192.0.2.7", connectedAt: 0)

    let delegate: ManagerDelegate

    /// `configuration` is the flags, `names` what the host's resolver knows, `pods` what the API server does.
    init(
        _ configuration: ManagerDelegate.Configuration = .init(), names: [String: [String]] = [:],
        pods: PodAddresses? = nil
    ) throws {
        let stream = try ObjectStream(reading: Array(Self.objects.utf8), file: "services.yaml")
        let directory = Directory(DirectorySnapshot(objects: stream.objects))
        let list = ServiceList(directory)
        let overview = ManagerOverview(
            egress: configuration.egress.mode.rawValue, now: { 0 }, services: { list.infos })
        let serve: ManagerDelegate.ServiceHandler = { channel, _ in channel.eventLoop.makeSucceededVoidFuture() }
        let intercepts = InterceptService(
            directory: directory, namespace: configuration.namespace,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, now: { 0 })
        delegate = ManagerDelegate(
            configuration: configuration, directory: directory,
            resolver: SystemResolver(pool: .singleton) { name in
                guard let addresses = names[name] else {
                    throw SystemResolver.Failure(description: "Name or service not known")
                }
                return addresses.compactMap { IPAddress($0) }
            },
            commands: ManagerCommands(overview: overview, now: { 0 }), services: [.api: serve, .dns: serve],
            intercepts: intercepts, pods: pods)
    }

    /// `10.42.0.5:8080`, `service`, or `2: why not`.
    func destination(_ host: String, _ port: UInt16) async throws -> String {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        return Self.text(try await delegate.destination(host: host, port: port, for: Self.identity, on: loop).get())
    }

    func destination(socketPath: String) async throws -> String {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        return Self.text(try await delegate.destination(socketPath: socketPath, for: Self.identity, on: loop).get())
    }

    func listener(_ address: String, _ port: UInt16) -> String {
        Self.text(delegate.listener(bindAddress: address, port: port, for: Self.identity))
    }

    func listener(socketPath: String) -> String {
        Self.text(delegate.listener(socketPath: socketPath, for: Self.identity))
    }

    private static func text(_ destination: Destination) -> String {
        switch destination {
        case .addresses(let addresses): addresses.map(\.text).joined(separator: " ")
        case .service: "service"
        case .channel: "channel"
        case .forward(let forward): "\(forward.bindAddress) of session \(forward.session)"
        case .refused(let failure): "\(failure.reason.rawValue): \(failure.text)"
        }
    }

    private static func text(_ place: Result<ListenerPlace, OpenFailure>) -> String {
        switch place {
        case .success(let place) where !place.hasSockets: "intercept"
        case .success(let place): place.addresses.map(\.text).joined(separator: " ")
        case .failure(let failure): "\(failure.reason.rawValue): \(failure.text)"
        }
    }
}
