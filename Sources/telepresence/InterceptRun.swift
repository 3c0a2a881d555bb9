import ArgumentParser
import ControlAPI
import Glibc
import Workstation

/// One `intercept`, `wiretap` or `ingest`: the session, the intercepts, what is had of a container, and the command that is
/// run meanwhile.
struct InterceptRun {
    /// Between looks at whether somebody here takes the connections.
    private static let lookInterval = Duration.milliseconds(500)

    let session: SessionOptions
    /// Of a session that has to be begun.
    let mode: DaemonStatus.Mode
    let command: [String]
    let format: OutputOptions
    /// The container whose variables and files are had; `nil` for none.
    let container: IngestRequest?
    let options: ContainerOptions?

    init(
        session: SessionOptions, mode: DaemonStatus.Mode, command: [String], format: OutputOptions,
        container: IngestRequest? = nil, options: ContainerOptions? = nil
    ) {
        self.session = session
        self.mode = mode
        self.command = command
        self.format = format
        self.container = container
        self.options = options
    }

    /// What `intercept`, `replace` and `wiretap` have in common.
    init(
        _ options: InterceptOptions, session: SessionOptions, command: [String], format: OutputOptions,
        container: ContainerOptions? = nil
    ) throws {
        if options.rootless, command.isEmpty {
            throw ValidationError("--rootless puts one command in the cluster; expected -- COMMAND")
        }
        self.init(
            session: session, mode: options.rootless ? .rootless : .full, command: command, format: format,
            container: container == nil
                ? nil
                : IngestRequest(
                    workload: options.workload, namespace: options.namespace, container: options.container),
            options: container)
    }

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
        let engine =
            options?.dockerRun == true
            ? try ContainerEngine(for: isOurs ? mode : status?.mode ?? mode, isOurs ? nil : status) : nil
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
        let ingest: IngestAnswer?
        do {
            ingest = try await self.ingest(made, client)
        } catch {
            await undo(made, client)
            if isOurs { _ = try await client.quit() }
            throw error
        }
        try tell(made)
        try tell(ingest)
        guard !command.isEmpty else { return }
        do {
            let code = try await runCommand(run, status, made, ingest, engine, client, isOurs: isOurs)
            throw ExitCode(code)
        } catch let error where !(error is ExitCode) {
            await undo(made, client, ingest)
            if isOurs { _ = try await client.quit() }
            throw error
        }
    }

    /// The command has ended, and with it what was made for it.
    private func runCommand(
        _ run: ConnectRun, _ status: DaemonStatus, _ made: [LocalIntercept], _ ingest: IngestAnswer?,
        _ engine: ContainerEngine?, _ client: DaemonClient, isOurs: Bool
    ) async throws -> Int32 {
        let ids = made.compactMap(\.id)
        if !ids.isEmpty { setenv("TELEPRESENCE_INTERCEPT_ID", ids.joined(separator: ","), 1) }
        let environment = ingest.map {
            ContainerEnvironment($0.environment, intercepts: ids, directory: directory(of: $0))
        }
        if let problem = environment?.problem { throw Failure(problem) }
        environment?.set()
        let contained = environment.flatMap { environment in
            engine.map { ContainerRun(environment, with: $0, in: status) }
        }
        let command =
            if let contained, let ingest {
                contained.command(self.command, ingest.environment, directory: directory(of: ingest))
            } else {
                self.command
            }
        let handles = Set(made.map(\.handle))
        let ingestHandle = ingest?.ingest.handle
        let endsPurpose = run.endsPurpose
        let watcher = Task {
            try await Self.watch(client, handles, ingest: ingestHandle, left: endsPurpose)
        }
        defer { watcher.cancel() }
        let code = try await run.runCommand(
            command, in: status, entering: contained == nil, end: { contained?.stop($0) },
            before: {
                contained?.remove()
                await undo(made, client, ingest)
            },
            thenQuit: isOurs ? client : nil)
        // A container whose engine was ended before it may hold on until the namespace it is in has gone.
        if isOurs { contained?.remove() }
        return code
    }

    // MARK: The container

    private func directory(of ingest: IngestAnswer) -> String? { ingest.ingest.directory ?? options?.mountCopy }

    /// What is had of the container; `nil` where nothing was asked for and nothing can be had.
    private func ingest(_ made: [LocalIntercept], _ client: DaemonClient) async throws -> IngestAnswer? {
        guard var request = container, let options, made.isEmpty || !command.isEmpty || options.isAsked else {
            return nil
        }
        let isAsked = made.isEmpty || options.isAsked || request.container != nil
        request.intercept = made.first?.handle
        let wanted = try options.wantedMount()
        switch wanted {
        case .none: request.mount = nil
        case .ifPossible: request.mount = IngestRequest.Mount()
        case .at(let mount): request.mount = mount
        }
        if options.dockerRun { request.mount?.isOutside = ContainerEngine.isOutside }
        let answer: IngestAnswer
        do {
            answer = try await client.ingest(request)
        } catch {
            guard isAsked else { return nil }
            throw error
        }
        do {
            if let problem = answer.mountProblem, wanted != .ifPossible {
                throw WorkstationError(problem, exitCode: answer.isMountBadInput ?? false ? 2 : 1)
            }
            if let place = options.mountCopy { try await snapshot(answer.environment, at: place, client) }
            let environment = ContainerEnvironment(
                answer.environment, intercepts: made.compactMap(\.id), directory: directory(of: answer))
            try options.environment.write(environment.variables)
        } catch {
            try? await client.leave(answer.ingest.handle)
            throw error
        }
        return answer
    }

    /// The volumes as they are now, in a directory that is made, or is there and empty.
    private func snapshot(_ environment: ProcessEnvironment, at place: String, _ client: DaemonClient) async throws {
        let root = "/\(environment.workload).\(environment.namespace):\(environment.container)"
        guard mkdir(place, 0o700) == 0 || errno == EEXIST else {
            throw Failure("--mount-copy \(place.shown): \(String(cString: strerror(errno)))")
        }
        try await Cp.copy(client, environment) { copy in try copy.download(root, to: place) }
    }

    private func tell(_ ingest: IngestAnswer?) throws {
        guard let ingest, container != nil, options != nil else { return }
        guard format.output == .text else {
            if ingest.ingest.intercept == nil { try format.print(ingest.ingest) }
            return
        }
        if ingest.ingest.intercept == nil {
            say("Using container \(ingest.ingest.container) of \(ingest.ingest.workload)\n")
        }
        if let directory = ingest.ingest.directory, options?.mount != nil || ingest.ingest.intercept == nil {
            say("    Volumes at \(directory)\n")
        }
    }

    private func undo(_ made: [LocalIntercept], _ client: DaemonClient, _ ingest: IngestAnswer? = nil) async {
        // One that is gone already is what is wanted.
        for intercept in made { try? await client.leave(intercept.handle) }
        if let ingest { try? await client.leave(ingest.ingest.handle) }
    }

    private func tell(_ made: [LocalIntercept]) throws {
        guard format.output == .text else {
            for intercept in made { try format.print(intercept) }
            return
        }
        if let first = made.first { say("Using \(first.kind) \(first.workload)\n") }
        for intercept in made { say(InterceptText.made(intercept)) }
    }

    /// Tells once for each intercept that nobody here takes its connections. Calls `left` when somebody has ended what the
    /// command was run for.
    private static func watch(
        _ client: DaemonClient, _ made: Set<String>, ingest: String?, left: @escaping @Sendable () -> Void
    ) async throws {
        var told: Set<String> = []
        while !Task.isCancelled {
            try await Task.sleep(for: lookInterval)
            guard let intercepts = try? await client.intercepts() else {
                guard client.isRunning else { return left() }
                continue
            }
            if made.isEmpty, let ingest, let ingests = try? await client.ingests() {
                if !ingests.contains(where: { $0.handle == ingest }) { return left() }
            } else if made.isDisjoint(with: intercepts.map(\.handle)) {
                return left()
            }
            for intercept in intercepts where intercept.refused > 0 {
                guard made.contains(intercept.handle), told.insert(intercept.handle).inserted else { continue }
                Exit.write("telepresence: \(intercept.problem ?? "a connection was not taken")\n", to: STDERR_FILENO)
            }
        }
    }
}
