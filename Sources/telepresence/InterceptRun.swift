import ArgumentParser
import ControlAPI
import Glibc
import Workstation

/// One `intercept` or `wiretap`: the session, the intercepts, and the command that is run meanwhile.
struct InterceptRun {
    /// Between looks at whether somebody here takes the connections.
    private static let lookInterval = Duration.milliseconds(500)

    let session: SessionOptions
    /// Of a session that has to be begun.
    let mode: DaemonStatus.Mode
    let command: [String]
    let format: OutputOptions

    private func say(_ text: String) {
        // The standard output is the command's.
        if format.output == .text { Exit.write(text, to: command.isEmpty ? STDOUT_FILENO : STDERR_FILENO) }
    }

    func run(_ requests: [InterceptRequest]) async throws {
        let client = try session.client()
        let run = ConnectRun(command: command, output: command.isEmpty ? STDOUT_FILENO : STDERR_FILENO)
        if format.output == .json { run.isQuiet = true }
        var status = try await client.status()
        let isOurs = status == nil || status?.state == .ended
        if isOurs {
            if status != nil { _ = try await client.quit() }
            var settings = try SessionSettings(
                name: session.name, mode: mode, config: ConfigFile.load(), arguments: ConfigLayer())
            settings.isLeashed = !command.isEmpty
            status = try await run.launch(settings, client: client)
        } else {
            say("Already connected\n")
        }
        guard let status else { throw Failure("not connected") }
        var made: [LocalIntercept] = []
        do {
            for request in requests { made.append(try await client.intercept(request)) }
        } catch {
            await undo(made, client)
            if isOurs { _ = try await client.quit() }
            throw error
        }
        try tell(made)
        guard !command.isEmpty else { return }
        let watcher = Task { [handles = made.map(\.handle)] in try await Self.watch(client, Set(handles)) }
        let code: Int32
        do {
            setenv("TELEPRESENCE_INTERCEPT_ID", made.compactMap(\.id).joined(separator: ","), 1)
            code = try await run.runCommand(
                in: status, before: { await undo(made, client) }, thenQuit: isOurs ? client : nil)
        } catch {
            watcher.cancel()
            throw error
        }
        watcher.cancel()
        throw ExitCode(code)
    }

    private func undo(_ made: [LocalIntercept], _ client: DaemonClient) async {
        // One that is gone already is what is wanted.
        for intercept in made { try? await client.leave(intercept.handle) }
    }

    private func tell(_ made: [LocalIntercept]) throws {
        guard format.output == .text else {
            for intercept in made { try format.print(intercept) }
            return
        }
        if let first = made.first { say("Using \(first.kind) \(first.workload)\n") }
        for intercept in made { say(InterceptText.made(intercept)) }
    }

    /// Tells once for each intercept that nobody here takes its connections.
    private static func watch(_ client: DaemonClient, _ made: Set<String>) async throws {
        var told: Set<String> = []
        while !Task.isCancelled {
            try await Task.sleep(for: lookInterval)
            for intercept in (try? await client.intercepts()) ?? [] where intercept.refused > 0 {
                guard made.contains(intercept.handle), told.insert(intercept.handle).inserted else { continue }
                Exit.write("telepresence: \(intercept.problem ?? "a connection was not taken")\n", to: STDERR_FILENO)
            }
        }
    }
}
