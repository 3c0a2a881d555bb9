import ControlAPI
import Logging
import NIOCore
import NIOPosix
import SSHClient

/// Logs in as a session would, and says at which step that fails.
struct ManagerCheck: Sendable {
    let settings: SessionSettings
    let report: @Sendable (DoctorFinding) -> Void

    /// What the manager tells of its cluster, if it can be had.
    func run() async -> DaemonStatus.Cluster? {
        let configuration: SSHClientConfiguration
        do {
            configuration = try settings.clientConfiguration()
        } catch {
            let error = WorkstationError(error)
            report(DoctorFinding("key", .problem, error.text, advice: "telepresence keygen makes a key"))
            return nil
        }
        report(DoctorFinding("key", .ok, settings.identity))
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let outcome = try? await eventLoop.flatSubmit { login(configuration, on: eventLoop) }.get()
        switch outcome {
        case .success(let cluster)?:
            report(DoctorFinding("manager", .ok, "\(settings.managerURL) has the pinned key, and accepts ours"))
            let subnets = cluster?.subnets ?? []
            if subnets.isEmpty, settings.routes.subnets.isEmpty {
                report(
                    DoctorFinding(
                        "cluster", .warning, "the manager does not tell its cluster's subnets",
                        advice: "the full and the rootless mode need them: 'routes: subnets:' in the configuration"))
            } else if let cluster {
                report(
                    DoctorFinding(
                        "cluster", .ok,
                        "\(cluster.domain), namespace \(cluster.namespace), "
                            + (subnets.isEmpty ? "no subnets" : subnets.joined(separator: ", "))))
            }
            return cluster
        case .failure(let error)?:
            report(DoctorFinding("manager", .problem, error.text, advice: Self.advice(error)))
        case nil:
            report(DoctorFinding("manager", .problem, "\(settings.managerURL) was not asked"))
        }
        return nil
    }

    private typealias Outcome = Result<DaemonStatus.Cluster?, SSHClientError>

    private func login(
        _ configuration: SSHClientConfiguration, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Outcome> {
        let promise = eventLoop.makePromise(of: Outcome.self)
        let quiet = Logger(label: "doctor") { _ in SwiftLogNoOpLogHandler() }
        let pool = SSHClientPool(configuration: configuration, eventLoop: eventLoop, logger: quiet) { _ in }
        pool.start { result in
            if case .failure(let error) = result {
                pool.close()
                return promise.succeed(.failure(error))
            }
            ClusterFacts.learn(through: pool) { cluster in
                pool.close()
                promise.succeed(.success(cluster))
            }
        }
        return promise.futureResult
    }

    private static func advice(_ error: SSHClientError) -> String? {
        switch error.kind {
        case .unreachable, .timedOut, .connectionLost: "check the address, the network, and that the manager runs"
        case .authenticationRefused:
            "add your public key (telepresence keygen prints it) to the manager's authorized_keys"
        // These say themselves what to do.
        case .badInput, .hostKeyUnknown, .hostKeyChanged, .openFailed, .forwardRefused, .cancelled: nil
        }
    }
}
