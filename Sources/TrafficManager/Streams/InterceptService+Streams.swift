import ControlAPI
import NIOCore
import SSHProtocol
import SSHServer

/// What agents tell of their containers: environments and files.
extension InterceptService {
    /// A container that an agent stands beside, and may be asked about.
    struct Place {
        var agent: AgentLink
        var workload: InterceptTable.Workload
        var container: AgentHello.Container
    }

    /// Whom to ask, if that session may.
    func place(of name: WorkloadName, for session: SessionIdentity) -> Result<Place, OpenFailure> {
        let workload = InterceptTable.Workload(namespace: name.namespace ?? namespace, name: name.name)
        var names = ["\(workload.name).\(workload.namespace)"]
        if workload.namespace == namespace { names.insert(workload.name, at: 0) }
        if let refusal = session.permissions.permitsWorkload(names) { return .failure(refusal) }
        guard let (agent, containers) = agent(of: workload) else {
            return .failure(
                OpenFailure(.connectFailed, "there is no traffic-agent beside \(workload.name.shortened)"))
        }
        guard let containers else {
            return .failure(
                OpenFailure(
                    .connectFailed, "the traffic-agent of \(workload.name) is too old to tell of its containers"))
        }
        guard
            let container = containers.first(where: { name.container == nil || $0.name == name.container })
        else {
            let known = containers.map(\.name).joined(separator: ", ")
            return .failure(
                OpenFailure(
                    .connectFailed,
                    "\(workload.name) has no container \((name.container ?? "").shortened) (it has \(known))"))
        }
        return .success(Place(agent: agent, workload: workload, container: container))
    }

    /// Names of channels that lead to the files of one container, by SFTP: `hello.default:app.sftp.telepresence:22`.
    static let filesSuffix = ".\(ReservedName.sftp.rawValue)"

    /// Where a channel leads that is to reach the files of `workload`, below a directory of that name.
    func destination(
        ofFiles workload: String, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Destination> {
        switch place(of: WorkloadName(workload), for: session) {
        case .failure(let failure): eventLoop.makeSucceededFuture(.refused(failure))
        case .success(let place):
            streams.join(.files, of: place.container.name, root: "/\(workload)", by: place.agent, on: eventLoop)
        }
    }

    /// The environment of a container's process, without what is excluded.
    func environment(of place: Place, on eventLoop: any EventLoop) -> EventLoopFuture<ProcessEnvironment> {
        let excluded = excludedVariables
        return streams.open(.environment, of: place.container.name, by: place.agent, on: eventLoop)
            .flatMap { channel in
                let promise = eventLoop.makePromise(of: ProcessEnvironment.self)
                // An agent that stops in the middle of it.
                let timeout = eventLoop.scheduleTask(in: AgentStreams.patience) { channel.close(promise: nil) }
                promise.futureResult.whenComplete { _ in timeout.cancel() }
                return channel.eventLoop.submit {
                    try channel.pipeline.syncOperations.addHandler(EnvironmentReader(promise))
                }.hop(to: eventLoop).flatMap { promise.futureResult }
            }
            .map { environment in
                var environment = environment
                environment.variables = environment.variables.filter { name, _ in
                    !excluded.contains { Self.matches(name, $0) }
                }
                return environment
            }
    }

    /// `AWS_*` or a whole name.
    static func matches(_ name: String, _ pattern: String) -> Bool {
        pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) : name == pattern
    }

    /// Puts an agent beside a workload for what is not an intercept. What is wrong with that, if anything.
    func wantAgent(of name: WorkloadName, for session: SessionIdentity) -> OpenFailure? {
        switch place(of: WorkloadName(name: name.name, namespace: name.namespace), for: session) {
        case .success: return nil
        case .failure(let failure):
            guard failure.reason == .connectFailed else { return failure }
            return installAgent(InterceptTable.Workload(namespace: name.namespace ?? namespace, name: name.name))
                .map { OpenFailure(.connectFailed, $0) }
        }
    }

    func progressOfAgent(of name: WorkloadName, for session: SessionIdentity) -> Result<AgentProgress, OpenFailure> {
        switch place(of: WorkloadName(name: name.name, namespace: name.namespace), for: session) {
        case .success: .success(AgentProgress(isReady: true))
        case .failure(let failure) where failure.reason != .connectFailed: .failure(failure)
        case .failure:
            .success(
                progressOfAgent(InterceptTable.Workload(namespace: name.namespace ?? namespace, name: name.name)))
        }
    }
}
