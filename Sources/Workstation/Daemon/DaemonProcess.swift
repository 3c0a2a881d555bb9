import ControlAPI
import Glibc
import Logging
import NIOCore
import SSHClient

/// What a daemon does from its first line to its exit. Confined to its event loop.
///
/// States: waiting (for settings) → starting → running → (ended →) quitting. Until it runs it ends when whoever started
/// it goes away; a leashed one ends so at any time. When the manager turns the session away for good, it stays to tell why.
final class DaemonProcess {
    private enum State { case waiting, starting, running, ended, quitting }

    /// Settings come at once, or never.
    private static let settingsTimeout = TimeAmount.seconds(10)

    private let eventLoop: any EventLoop
    private let exit: EventLoopPromise<CInt>
    private var state = State.waiting
    private var link: LaunchLink?
    private var settings: SessionSettings?
    private var lock: DaemonLock?
    private var log: DaemonLog?
    private var logger: Logger?
    private var session: Session?
    private var gateway: ClusterGateway?
    private var opening: Task<Void, Never>?
    private var server: DaemonServer?
    private var levelTimer: Scheduled<Void>?
    /// The level to return to.
    private var level = Logger.Level.info

    init(eventLoop: any EventLoop, exit: EventLoopPromise<CInt>) {
        self.eventLoop = eventLoop
        self.exit = exit
    }

    // MARK: Starting

    func start(link descriptor: CInt) {
        LaunchLink.open(descriptor, on: eventLoop) { [weak self] line in
            self?.received(line)
        } onEnd: { [weak self] in
            self?.launcherGone()
        } completion: { [weak self] result in
            switch result {
            case .success(let link): self?.link = link
            case .failure: self?.finish(1)
            }
        }
        eventLoop.assumeIsolated().scheduleTask(in: Self.settingsTimeout) { [weak self] in
            guard let self, self.state == .waiting else { return }
            self.finish(2)
        }
    }

    private func received(_ line: String) {
        guard state == .waiting else { return }
        state = .starting
        do {
            try begin(JSON.decode(SessionSettings.self, from: line))
        } catch {
            fail(error)
        }
    }

    private func begin(_ settings: SessionSettings) throws {
        self.settings = settings
        let paths = try DaemonPaths(name: settings.name)
        try paths.prepare()
        guard let lock = try DaemonLock.take(paths.lock) else {
            link?.send(LaunchReport.alreadyRunning)
            return finish(0)
        }
        self.lock = consume lock
        level = Logger.Level(rawValue: settings.logLevel) ?? .info
        let log = try DaemonLog(path: paths.log, level: level)
        log.takeStandardStreams()
        self.log = log
        let logger = log.logger("daemon")
        self.logger = logger
        logger.info(
            "launched",
            metadata: ["version": "\(ProgramVersion.text)", "name": "\(settings.name)", "mode": "\(settings.mode)"])
        guard let cluster = settings.cluster else {
            return try begin(settings, settings.clientConfiguration(), paths, log)
        }
        link?.send(LaunchReport.launched)
        let (eventLoop, process) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        opening = Task {
            do {
                let gateway = try await ClusterGateway.open(settings, cluster, on: eventLoop, logger: logger) { text in
                    eventLoop.execute { process.value.link?.send(LaunchReport.progress(text)) }
                }
                eventLoop.execute { process.value.opened(gateway, settings, paths) }
            } catch {
                let error = WorkstationError(error)
                eventLoop.execute { process.value.fail(error) }
            }
        }
    }

    private func opened(_ gateway: ClusterGateway, _ settings: SessionSettings, _ paths: DaemonPaths) {
        self.gateway = gateway
        guard state == .starting, let log else { return }
        var settings = settings
        settings.way = gateway.way
        settings.serviceRange = gateway.serviceRange
        do {
            try begin(settings, gateway.configuration, paths, log)
        } catch {
            fail(error)
        }
    }

    private func begin(
        _ settings: SessionSettings, _ client: SSHClientConfiguration, _ paths: DaemonPaths, _ log: DaemonLog
    ) throws {
        let session = try Session(
            settings: settings, client: client, paths: paths, eventLoop: eventLoop,
            logger: log.logger("session"))
        session.onNeedsTerminal = { [weak self] command in self?.link?.send(LaunchReport.needsTerminal(command)) }
        session.onEnded = { [weak self] error in self?.sessionEnded(error) }
        self.session = session
        let server = DaemonServer(
            path: paths.socket, eventLoop: eventLoop, logger: log.logger("daemon"), routes: routes)
        self.server = server
        server.start { [weak self] result in
            guard let self, self.state == .starting else { return }
            if case .failure(let error) = result { return self.fail(error) }
            if settings.cluster == nil { self.link?.send(LaunchReport.launched) }
            self.connect()
        }
    }

    private func connect() {
        session?.start { [weak self] result in
            guard let self, self.state == .starting, let session = self.session else { return }
            if case .failure(let error) = result { return self.fail(error) }
            self.state = .running
            session.status(logLevel: self.level) { [weak self] status in
                self?.link?.send(LaunchReport.connected(status))
            }
        }
    }

    private func fail(_ error: any Error) {
        guard state != .quitting else { return }
        let error = WorkstationError(error)
        logger?.error("not connected", metadata: ["reason": "\(error.text)"])
        link?.send(LaunchReport.failed(error))
        finish(error.exitCode)
    }

    private func launcherGone() {
        link = nil
        switch state {
        case .waiting, .starting: quit("whoever started it is gone")
        case .running, .ended: if settings?.isLeashed == true { quit("whoever started it is gone") }
        case .quitting: break
        }
    }

    // MARK: The API

    private var routes: DaemonRoutes {
        DaemonRoutes { [weak self] respond in
            guard let self, let session = self.session, let log = self.log else {
                return respond(.init(503, ErrorInfo("quitting")))
            }
            session.status(logLevel: log.level) { respond(.init(200, $0)) }
        } setLogLevel: { [weak self] wanted in
            self?.setLogLevel(wanted)
        } quit: { [weak self] in
            self?.quit("asked to")
        } session: { [weak self] in
            self?.state == .running ? self?.session : nil
        }
    }

    private func setLogLevel(_ wanted: DaemonLogLevel) -> String? {
        guard let new = Logger.Level(rawValue: wanted.level) else {
            return "'\(wanted.level)' is no level; expected one of "
                + Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        }
        levelTimer?.cancel()
        log?.level = new
        guard let seconds = wanted.seconds else {
            level = new
            return nil
        }
        levelTimer = eventLoop.assumeIsolated().scheduleTask(in: .seconds(seconds)) { [weak self] in
            guard let self else { return }
            self.log?.level = self.level
        }
        return nil
    }

    // MARK: Ending

    /// The manager has turned the session away: nothing of it stays but its reason.
    private func sessionEnded(_ error: SSHClientError) {
        guard state == .running else { return }
        state = .ended
        if settings?.isLeashed == true { return }
        session?.stop {}
    }

    func quit(_ reason: String) {
        guard state != .quitting else { return }
        logger?.info("quitting", metadata: ["reason": "\(reason)"])
        finish(0)
    }

    private func finish(_ status: CInt) {
        guard state != .quitting else { return }
        state = .quitting
        levelTimer?.cancel()
        opening?.cancel()
        let end = {
            self.session = nil
            self.server?.stop()
            self.link?.close()
            let gateway = self.gateway
            self.eventLoop.makeFutureWithTask { await gateway?.shutDown() }.assumeIsolated().whenComplete { _ in
                // An answer that is still being written, or a report, leaves in this turn of the loop or the next.
                self.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) {
                    self.lock = nil
                    self.exit.succeed(status)
                }
            }
        }
        guard let session else { return end() }
        session.stop(completion: end)
    }
}
