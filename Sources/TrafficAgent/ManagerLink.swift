import ControlAPI
import Forwarding
import Logging
import NIOCore
import SSHClient

/// The agent's SSH connection to the manager, and the channel on which it is told what to do. Confined to the pool's
/// event loop.
///
/// States: connecting → connected (pool up) → following (channel up) → connecting …; it never gives up.
final class ManagerLink {
    /// Between attempts, where the pool itself has given up or was never up.
    private static let pause = TimeAmount.seconds(1)

    static let target = ChannelTarget.tcp(host: "agent.telepresence", port: 1)

    private let configuration: AgentConfiguration
    private let rules: RuleBook
    private let streams: ContainerStreams
    private let eventLoop: any EventLoop
    private let logger: Logger
    private(set) var pool: SSHClientPool?
    private var control: (any Channel)?
    private var lastProblem = ""
    private var isClosed = false

    init(_ configuration: AgentConfiguration, rules: RuleBook, on eventLoop: any EventLoop, logger: Logger) {
        self.configuration = configuration
        self.rules = rules
        streams = ContainerStreams(configuration, on: eventLoop, logger: logger)
        self.eventLoop = eventLoop
        self.logger = logger
    }

    func start() {
        guard !isClosed else { return }
        let pool = SSHClientPool(configuration: configuration.manager, eventLoop: eventLoop, logger: logger) {
            [weak self] event in
            self?.handle(event)
        }
        self.pool = pool
        pool.start { [weak self] result in
            if case .failure(let error) = result { self?.retry(error) }
        }
    }

    private func handle(_ event: PoolEvent) {
        switch event {
        case .connected:
            lastProblem = ""
            follow()
        case .disconnected(let error, _):
            rules.setConnected(false)
            report(error.text)
        case .failed(let error): retry(error)
        case .forwardLost, .forwardRestored: break
        }
    }

    private func retry(_ error: SSHClientError) {
        rules.setConnected(false)
        report(error.text)
        pool?.close()
        pool = nil
        eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [weak self] in self?.start() }
    }

    private func report(_ problem: String) {
        guard problem != lastProblem, !isClosed else { return }
        lastProblem = problem
        logger.warning("no manager: the app has all its traffic", metadata: ["reason": "\(problem)"])
    }

    // MARK: Being told

    private func follow() {
        guard let pool, !isClosed else { return }
        SocketPair.make(on: eventLoop).assumeIsolated().whenComplete { [weak self] result in
            guard let self, case .success((let app, let ours)) = result else { return }
            do {
                try ours.pipeline.syncOperations.addHandler(
                    AgentControlHandler(self.configuration.hello) { [weak self] in
                        self?.told($0) ?? AgentReport(revision: 0)
                    } asked: { [weak self] in
                        guard let self, let pool = self.pool else { return }
                        self.streams.serve($0, through: pool)
                    })
            } catch {
                app.close(promise: nil)
                return ours.close(promise: nil)
            }
            pool.open(Self.target, originator: Originator(nil), glueTo: app) { [weak self] result in
                switch result {
                case .success:
                    self?.control = ours
                    self?.rules.setConnected(true)
                    ours.pipeline.fireUserInboundEventTriggered(AgentControlHandler.Begin())
                    ours.closeFuture.assumeIsolated().whenComplete { [weak self] _ in self?.controlEnded(ours) }
                case .failure(let error):
                    app.close(promise: nil)
                    ours.close(promise: nil)
                    self?.report(error.text)
                    self?.followLater()
                }
            }
        }
    }

    private func controlEnded(_ channel: any Channel) {
        guard control === channel else { return }
        control = nil
        rules.setConnected(false)
        followLater()
    }

    /// When the pool reconnects it is followed anyway; otherwise the manager has closed the channel alone.
    private func followLater() {
        eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [weak self] in
            guard let self, self.control == nil else { return }
            self.follow()
        }
    }

    private func told(_ rules: AgentRules) -> AgentReport {
        self.rules.replace(rules)
        logger.debug("rules", metadata: ["revision": "\(rules.revision)", "count": "\(rules.rules.count)"])
        var report = AgentReport(revision: rules.revision)
        for rule in rules.rules { report.problems[rule.id] = Self.problem(of: rule) }
        return report
    }

    /// Why a rule cannot be followed.
    private static func problem(of rule: AgentRules.Rule) -> String? {
        do throws(CompiledFilter.Problem) {
            _ = try CompiledFilter(rule.filter)
        } catch {
            return error.description
        }
        return rule.mode == .wiretap && !rule.filter.isEmpty
            ? "a wiretap takes whole connections, without a filter" : nil
    }

    /// Tells the manager that this agent is about to end.
    func leave() { control?.pipeline.fireUserInboundEventTriggered(AgentControlHandler.Leave()) }

    func close() {
        isClosed = true
        rules.setConnected(false)
        control?.close(promise: nil)
        pool?.close()
    }
}
