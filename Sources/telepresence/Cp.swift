import ArgumentParser
import ControlAPI
import Glibc
import NIOPosix
import SFTP
import Workstation

struct Cp: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy files between a workload's volumes and this machine.",
        discussion: """
            Directories with all that is in them. Each file is compared with its digest at the other end, and appears when it
            is whole. Needs no FUSE. A workload that has no traffic-agent gets one first.

            EXAMPLES
              telepresence cp hello:/data ./data
              telepresence cp hello.staging:/etc/hello/hello.yaml .
              telepresence cp hello:/var/run/secrets/kubernetes.io/serviceaccount token -c sidecar
              telepresence cp ./data/seed hello:/data/seed

            EXIT STATUS
              0 all is copied; 1 something is not; 2 bad input.
            """)

    @Argument(help: ArgumentHelp("What: WORKLOAD:/PATH, or a path here.", valueName: "source"))
    var source: String

    @Argument(help: ArgumentHelp("Where to: a path here, or WORKLOAD:/PATH.", valueName: "destination"))
    var destination: String

    @Option(name: .shortAndLong, help: ArgumentHelp("Of its containers; the app's if not given.", valueName: "name"))
    var container: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The workload's namespace; the session's own if not given.", valueName: "namespace"))
    var namespace: String?

    @OptionGroup var session: SessionOptions

    /// A workload's file.
    private struct Place {
        var workload: String
        var namespace: String?
        var path: String
    }

    private func place(_ text: String) throws -> Place? {
        guard let colon = text.firstIndex(of: ":"), !text[..<colon].contains("/"), colon != text.startIndex else {
            return nil
        }
        let names = text[..<colon].split(separator: ".", maxSplits: 1).map(String.init)
        let path = String(text[text.index(after: colon)...])
        guard path.hasPrefix("/"), !path.utf8.contains(0) else {
            throw ValidationError("'\(text.shown)': expected WORKLOAD:/PATH, with the whole path")
        }
        guard !path.split(separator: "/").contains("..") else {
            throw ValidationError("'\(text.shown)': expected a path without '..'")
        }
        return Place(workload: names[0], namespace: names.count > 1 ? names[1] : namespace, path: path)
    }

    func validate() throws {
        let places = [try place(source), try place(destination)]
        guard places.compactMap({ $0 }).count == 1 else {
            throw ValidationError("expected one of both to be WORKLOAD:/PATH")
        }
    }

    func run() async throws {
        let client = try session.client()
        if let place = try place(source) {
            let environment = try await client.environment(request(place))
            try await Self.copy(client, environment) { copy in
                try copy.download(
                    Self.path(place.path, environment), to: Self.target(destination, Self.last(place.path)))
            }
        } else if let place = try place(destination) {
            let environment = try await client.environment(request(place))
            let (source, last) = (source, Self.last(source))
            try await Self.copy(client, environment) { copy in
                let path = Self.path(place.path, environment)
                try copy.upload(source, to: path.hasSuffix("/") ? path + last : path)
            }
        }
    }

    private func request(_ place: Place) -> IngestRequest {
        IngestRequest(workload: place.workload, namespace: place.namespace, container: container)
    }

    private static func last(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? "." }

    /// As the manager serves it.
    private static func path(_ path: String, _ environment: ProcessEnvironment) -> String {
        "/\(environment.workload).\(environment.namespace):\(environment.container)\(path)"
    }

    /// In a directory that is there it keeps its name.
    private static func target(_ destination: String, _ name: String) -> String {
        var status = stat()
        guard stat(destination, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, name != "." else {
            return destination
        }
        return "\(destination)/\(name)"
    }

    /// Runs `work` on a thread that it may block, and shows how far it is.
    static func copy(
        _ client: DaemonClient, _ environment: ProcessEnvironment,
        _ work: @escaping @Sendable (FileCopy) throws -> Void
    ) async throws {
        let count = FileCopy.Count()
        let progress = Progress("Copying")
        let ticker = Task {
            while !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(500))
                progress.show("Copying: \(count.text)")
            }
        }
        defer { ticker.cancel() }
        let descriptor = try client.files()
        do {
            try await NIOThreadPool.singleton.runIfActive {
                try work(FileCopy(try SFTPClient(descriptor), counting: count))
            }
        } catch let lost as SFTPClient.ConnectionLost {
            await progress.stop()
            throw Failure(lost.description)
        } catch {
            await progress.stop()
            throw error
        }
        await progress.stop()
    }
}
