import ArgumentParser
import ControlAPI
import Glibc
import NIOPosix
import Workstation

/// One `connect`: what it prints while a daemon comes up, and the command it runs. Used by one task.
final class ConnectRun {
    private enum Event: Sendable {
        case report(LaunchReport)
        case daemonEnded
        case signal(Signals.Received)
        case commandEnded(Int32)
        /// What the command was run for.
        case purposeEnded
    }

    private let command: [String]
    /// Where our own lines go: the standard output is a command's, if there is one.
    private let output: Int32
    var isQuiet = false
    private let events: AsyncStream<Event>
    private let sink: AsyncStream<Event>.Continuation
    private var daemon: DaemonLauncher?
    private var reports: Task<Void, Never>?
    /// One for both parts: a stream whose consumer was cancelled brings nothing more.
    private var signals: Task<Void, Never>?

    init(command: [String], output: Int32) {
        self.command = command
        self.output = output
        (events, sink) = AsyncStream.makeStream()
    }

    deinit {
        reports?.cancel()
        signals?.cancel()
    }

    /// To be called when what the command was run for is over.
    var endsPurpose: @Sendable () -> Void {
        let sink = sink
        return { sink.yield(.purposeEnded) }
    }

    private func followSignals() {
        guard signals == nil else { return }
        let sink = sink
        signals = Task {
            for await signal in Signals.received { sink.yield(.signal(signal)) }
        }
    }

    private func say(_ text: String) {
        if !isQuiet { Exit.write(text, to: output) }
    }

    /// Starts the daemon, and waits until it is connected; otherwise nothing is left of it.
    func launch(_ settings: SessionSettings, client: DaemonClient) async throws -> DaemonStatus {
        say("Launching Telepresence Daemon \(ProgramVersion.text)\n")
        let daemon = try await DaemonLauncher.launch(settings)
        self.daemon = daemon
        let sink = sink
        reports = Task {
            for await report in daemon.reports { sink.yield(.report(report)) }
            if !Task.isCancelled { sink.yield(.daemonEnded) }
        }
        followSignals()
        let progress = Progress("Connecting to \(settings.managerURL)")
        for await event in events {
            switch event {
            case .report(.launched):
                say("Connecting to traffic manager...\n")
            case .report(.progress(let text)):
                progress.show(text)
            case .report(.needsTerminal(let command)):
                await progress.stop()
                guard try await runOnTerminal(command) else {
                    await end(daemon)
                    throw Failure(
                        "not permitted to change this machine's network; telepresence connect --rootless -- COMMAND and "
                            + "--socks PORT need nobody's permission")
                }
            case .report(.connected(let status)):
                await progress.stop()
                say("Connected to context \(status.context ?? status.name) (\(status.manager))\n")
                for conflict in status.cluster?.conflicts ?? [] where !isQuiet {
                    Exit.write("telepresence: \(conflict)\n", to: STDERR_FILENO)
                }
                if let other = status.otherVersion {
                    Exit.write(
                        "telepresence: the traffic manager is of version \(other), this program of "
                            + "\(ProgramVersion.client); telepresence install brings them together\n", to: STDERR_FILENO
                    )
                }
                if !status.proxies.isEmpty {
                    say("SOCKS and HTTP proxy on \(status.proxies.joined(separator: ", "))\n")
                }
                if !settings.isLeashed { await daemon.letGo() }
                return status
            case .report(.failed(let error)):
                await progress.stop()
                await end(daemon)
                throw error
            case .report(.alreadyRunning):
                await progress.stop()
                await end(daemon)
                return try await other(client)
            case .daemonEnded:
                await progress.stop()
                await daemon.wait()
                throw Failure("the daemon ended before it was connected; its log is \(client.paths.log)")
            case .signal(let signal):
                await progress.stop()
                await end(daemon)
                throw ExitCode(128 + signal.number)
            case .commandEnded, .purposeEnded:
                break
            }
        }
        throw ExitCode(1)
    }

    /// For sudo, which asks for a password; whether it succeeded.
    private func runOnTerminal(_ command: [String]) async throws -> Bool {
        do {
            let process = try ChildProcess(command)
            return try await NIOThreadPool.singleton.runIfActive { process.wait() } == 0
        } catch let error as CommandNotRun {
            throw Failure("\(error.name.shown): \(error.reason)")
        }
    }

    private func end(_ daemon: DaemonLauncher) async {
        await daemon.letGo()
        await daemon.wait()
    }

    /// Somebody else's `connect` was faster: what comes of it is what comes of this one.
    private func other(_ client: DaemonClient) async throws -> DaemonStatus {
        while client.isRunning {
            if let status = try await client.status(), status.state != .connecting {
                say("Already connected\n")
                return status
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failure("another telepresence connect failed at the same time; its log is \(client.paths.log)")
    }

    /// Runs the command, or another in its place, and ends the session when it has ended, after `before`; its exit status.
    /// `entering`: the namespace of a rootless session, if it is one. `end` is called, with the command's process, when the
    /// session or its purpose ends first, or a signal is to end a command that may not take it.
    func runCommand(
        _ other: [String]? = nil, in status: DaemonStatus, entering: Bool = true,
        end: @escaping @Sendable (pid_t) -> Void = { _ in },
        before: () async -> Void = {}, thenQuit client: DaemonClient?
    ) async throws -> Int32 {
        SessionEnvironment.set(for: status)
        let words = other ?? command
        let code = try await runCommand(entering ? SessionEnvironment.command(words, in: status) : words, end)
        await before()
        guard let client else { return code }
        say("Disconnecting...")
        do {
            _ = try await client.quit()
        } catch {
            say("failed\n")
            throw error
        }
        say("done\nTelepresence Daemon quitting...done\n")
        await daemon?.letGo()
        await daemon?.wait()
        return code
    }

    private func runCommand(_ command: [String], _ end: @escaping @Sendable (pid_t) -> Void) async throws -> Int32 {
        let process: ChildProcess
        do {
            process = try ChildProcess(command)
        } catch let error as CommandNotRun {
            Exit.write("telepresence: \(error.name.shown): \(error.reason)\n", to: STDERR_FILENO)
            return error.status
        }
        let sink = sink
        NIOThreadPool.singleton.submit { _ in sink.yield(.commandEnded(process.wait())) }
        followSignals()
        for await event in events {
            switch event {
            case .commandEnded(let status):
                return status
            case .signal(let signal):
                // What the terminal sends reaches the command by itself.
                if signal.isFromProcess { process.send(signal.number) }
                NIOThreadPool.singleton.submit { _ in end(process.id) }
            case .daemonEnded:
                Exit.write("telepresence: the session has ended\n", to: STDERR_FILENO)
                NIOThreadPool.singleton.submit { _ in end(process.id) }
            case .purposeEnded:
                NIOThreadPool.singleton.submit { _ in end(process.id) }
            case .report:
                break
            }
        }
        return 1
    }
}
