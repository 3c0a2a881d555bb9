import ControlAPI
import Forwarding
import Glibc
import Logging
import NIOCore
import SSHClient

/// The containers whose environment and files are had in a session. Confined to the session's event loop.
final class SessionContainers {
    /// How long an agent may take to come: more than the manager gives a rollout that brings it.
    private static let patience = TimeAmount.seconds(105)
    /// Between looks at whether it has.
    private static let lookInterval = TimeAmount.milliseconds(50)
    private static let maximumIngests = 128

    private final class Entry {
        var local: LocalIngest
        var mount: FileMount?

        init(_ local: LocalIngest) { self.local = local }
    }

    private let pool: SSHClientPool
    /// Where mounts are made that nobody has chosen a place for.
    private let mountDirectory: String
    /// Where programs of this machine speak SFTP with the manager.
    private let socketPath: String
    private var listener: SocketListener?
    private let namespace: () -> String
    /// Of a rootless session, whose commands see what is mounted there.
    var holder: String?
    private let logger: Logger
    private var entries: [Entry] = []
    private var lastNumber = 0

    init(pool: SSHClientPool, paths: DaemonPaths, logger: Logger, namespace: @escaping () -> String) {
        self.pool = pool
        mountDirectory = paths.mounts
        socketPath = paths.files
        self.namespace = namespace
        self.logger = logger
    }

    func start() {
        SocketListener.start(socketPath, to: FileMount.files, through: pool) { [weak self] result in
            switch result {
            case .success(let listener): self?.listener = listener
            case .failure(let error):
                self?.logger.warning("no files for telepresence cp", metadata: ["reason": "\(error)"])
            }
        }
    }

    // MARK: Environments

    /// Asks for a container's environment; an agent is put beside the workload if it has none.
    func environment(
        of request: IngestRequest, completion: @escaping (Result<ProcessEnvironment, WorkstationError>) -> Void
    ) {
        ask(request) { [weak self] result in
            guard let self, case .failure = result else { return completion(result) }
            let path = "/v1/agents?\(self.query(request))"
            ManagerAPI.ask(.post, path, as: ItemName.self, through: self.pool) { [weak self] wanted in
                switch wanted {
                case .failure(let error): completion(.failure(error))
                case .success: self?.follow(request, until: .now() + Self.patience, completion)
                }
            }
        }
    }

    private func query(_ request: IngestRequest) -> String {
        "workload=\(ManagerAPI.encoded(request.workload))"
            + "&namespace=\(ManagerAPI.encoded(request.namespace ?? namespace()))"
    }

    private func ask(
        _ request: IngestRequest, _ completion: @escaping (Result<ProcessEnvironment, WorkstationError>) -> Void
    ) {
        let container = request.container.map { "&container=\(ManagerAPI.encoded($0))" } ?? ""
        ManagerAPI.ask(
            .get, "/v1/environment?\(query(request))\(container)", as: ProcessEnvironment.self, through: pool,
            completion: completion)
    }

    private func follow(
        _ request: IngestRequest, until deadline: NIODeadline,
        _ completion: @escaping (Result<ProcessEnvironment, WorkstationError>) -> Void
    ) {
        let path = "/v1/agents/state?\(query(request))"
        ManagerAPI.ask(.get, path, as: AgentProgress.self, through: pool) { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let progress) where progress.isReady: self.ask(request, completion)
            case .success(let progress):
                if let problem = progress.problem { return completion(.failure(WorkstationError(problem))) }
                guard NIODeadline.now() < deadline else {
                    let text = "timeout while waiting for the traffic-agent of \(request.workload)"
                    return completion(.failure(WorkstationError(text)))
                }
                self.pool.eventLoop.assumeIsolated().scheduleTask(in: Self.lookInterval) { [weak self] in
                    self?.follow(request, until: deadline, completion)
                }
            }
        }
    }

    // MARK: Ingests

    func add(_ request: IngestRequest, completion: @escaping (Result<IngestAnswer, WorkstationError>) -> Void) {
        guard entries.count < Self.maximumIngests else {
            return completion(.failure(WorkstationError("there are \(Self.maximumIngests) of these already")))
        }
        environment(of: request) { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let environment): self.add(request, environment, completion)
            }
        }
    }

    private func add(
        _ request: IngestRequest, _ environment: ProcessEnvironment,
        _ completion: @escaping (Result<IngestAnswer, WorkstationError>) -> Void
    ) {
        lastNumber += 1
        let entry = Entry(
            LocalIngest(
                handle: "@\(lastNumber)", workload: environment.workload, namespace: environment.namespace,
                container: environment.container, pod: environment.pod, intercept: request.intercept))
        entries.append(entry)
        // Where nobody has named a place, nothing is mounted that has nothing in it.
        guard let wanted = request.mount, wanted.directory != nil || !environment.mounts.isEmpty else {
            return completion(.success(IngestAnswer(ingest: entry.local, environment: environment)))
        }
        let place =
            wanted.directory
            ?? "\(mountDirectory)/\(environment.workload)-\(environment.container)-\(lastNumber)"
        let source = "\(environment.workload).\(environment.namespace):\(environment.container)"
        let mount = FileMount(
            source: source, directory: place, isOwn: wanted.directory == nil, isReadOnly: wanted.isReadOnly,
            in: wanted.isOutside ? nil : holder, pool: pool, logger: logger)
        mount.begin { [weak self] problem in
            guard let self else { return }
            var answer = IngestAnswer(ingest: entry.local, environment: environment)
            if let problem {
                answer.mountProblem = problem.text
                answer.isMountBadInput = problem.exitCode == 2
            } else {
                entry.mount = mount
                entry.local.directory = place
                answer.ingest = self.told(entry)
            }
            completion(.success(answer))
        }
    }

    private func told(_ entry: Entry) -> LocalIngest {
        var local = entry.local
        local.mountState = entry.mount.map { $0.isMounted ? .mounted : .waiting }
        local.problem = entry.mount?.problem
        return local
    }

    var all: [LocalIngest] { entries.map(told) }

    /// The session is there again: so are its files.
    func reconnected() { for entry in entries { entry.mount?.restore() } }

    // MARK: Ending

    /// Ends those of a workload, one by its handle, or those of an intercept that is gone; how many there were.
    func leave(_ name: String, intercepts: Set<String>, completion: @escaping (Int) -> Void) {
        let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
        let leaving = entries.filter { entry in
            entry.local.handle == name || entry.local.intercept == name
                || entry.local.intercept.map { !intercepts.contains($0) } ?? false
                || entry.local.workload == parts.first && (parts.count < 2 || entry.local.namespace == parts[1])
        }
        entries.removeAll { entry in leaving.contains { $0 === entry } }
        end(leaving.compactMap(\.mount)) { completion(leaving.count) }
    }

    func close(completion: @escaping () -> Void) {
        listener?.close()
        listener = nil
        let mounts = entries.compactMap(\.mount)
        entries = []
        end(mounts) { [mountDirectory] in
            // It is empty now, if it was ever made.
            rmdir(mountDirectory)
            completion()
        }
    }

    private func end(_ mounts: [FileMount], _ completion: @escaping () -> Void) {
        guard let first = mounts.first else { return completion() }
        first.end { [self] in end(Array(mounts.dropFirst()), completion) }
    }
}
