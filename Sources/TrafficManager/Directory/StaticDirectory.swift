package import Kubernetes
package import Logging
import NIOPosix
import ServiceLifecycle

/// A directory read from a file of Kubernetes objects, and read again whenever the file changes.
///
/// States: *current*, when the directory is what the file says; *stale*, when the newest version of the file is bad or
/// cannot be read: then the directory stays as it was, and `Directory.problem` tells why. Each look at the file may
/// lead from either to either.
package actor StaticDirectory: DirectorySource {
    package nonisolated let directory: Directory
    package nonisolated let file: String

    private let clusterDomain: String
    private let interval: Duration
    private let logger: Logger
    /// Of the file as it was last read, whether it was good or bad.
    private var version: FileContents.Version?
    private var failure: String?

    /// What a look at the file led to.
    package enum Outcome: Hashable, Sendable {
        case unchanged
        case reloaded
        /// With the one line that was logged.
        case kept(String)
    }

    /// A stat each second is cheap, notices every way to change a file, on every file system, and nobody waits longer.
    package static let defaultInterval = Duration.seconds(1)

    /// Reads the file once; throws what is wrong with it, in one line.
    package init(
        file: String, clusterDomain: String = DirectorySnapshot.defaultClusterDomain,
        interval: Duration = StaticDirectory.defaultInterval, logger: Logger
    ) throws(InputError) {
        switch StaticDirectory.read(file, clusterDomain, unless: nil) {
        case .good(let snapshot, let version):
            for diagnostic in snapshot.diagnostics { logger.warning("\(diagnostic)") }
            logger.info(
                "services loaded", metadata: ["file": "\(file)", "services": "\(snapshot.services.count)"])
            directory = Directory(snapshot)
            self.version = version
        case .bad(let error, _):
            throw error
        case .unchanged:
            // Only a version that was read before can be unchanged.
            directory = Directory()
        }
        self.file = file
        self.clusterDomain = clusterDomain
        self.interval = interval
        self.logger = logger
    }

    package func run() async throws {
        guard version?.isRegular == true else {
            // A pipe was read to its end. There is nothing to watch, and returning would end the whole group.
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await Task.sleep(for: self.interval)
                } catch {
                    return
                }
                await self.reload()
            }
        }
    }

    package func readAgain() async { await reload() }

    /// Looks at the file, and reads it if it is not the version that was read last.
    @discardableResult
    package func reload() async -> Outcome {
        let (file, clusterDomain, version) = (file, clusterDomain, version)
        // Disks may be slow, and a large file takes a while to read: not on a thread that others wait for.
        let read = try? await NIOThreadPool.singleton.runIfActive {
            StaticDirectory.read(file, clusterDomain, unless: version)
        }
        switch read {
        case nil, .unchanged: return .unchanged
        case .good(let snapshot, let version): return replace(with: snapshot, version)
        case .bad(let error, let version): return keep(error, version)
        }
    }

    private func replace(with snapshot: DirectorySnapshot, _ version: FileContents.Version) -> Outcome {
        self.version = version
        failure = nil
        let old = directory.snapshot
        let known = Set(old.diagnostics.map(\.text))
        for diagnostic in snapshot.diagnostics where !known.contains(diagnostic.text) {
            logger.warning("\(diagnostic)")
        }
        let change = DirectoryChange(from: old, to: snapshot)
        var metadata: Logger.Metadata = ["file": "\(file)", "services": "\(snapshot.services.count)"]
        for (key, names) in [("added", change.added), ("removed", change.removed), ("changed", change.changed)]
        where !names.isEmpty {
            metadata[key] = "\(DirectoryChange.shown(names))"
        }
        directory.replace(with: snapshot)
        logger.info("services reloaded", metadata: metadata)
        return .reloaded
    }

    /// The same complaint is not repeated each second.
    private func keep(_ error: InputError, _ version: FileContents.Version?) -> Outcome {
        self.version = version
        let line = "\(error)"
        guard line != failure else { return .kept(line) }
        failure = line
        directory.report(problem: line)
        logger.error("\(line); the services stay as they were")
        return .kept(line)
    }

    /// One look at the file. A bad version is told apart from the next by when it was read, not by when it was judged.
    private enum Reading: Sendable {
        case unchanged
        case good(DirectorySnapshot, FileContents.Version)
        /// Without a version when the file could not be read, so that it is tried again.
        case bad(InputError, FileContents.Version?)
    }

    private static func read(
        _ file: String, _ clusterDomain: String, unless version: FileContents.Version?
    ) -> Reading {
        let contents: FileContents
        do throws(FileContents.Failure) {
            if let version, try FileContents.version(of: file) == version { return .unchanged }
            contents = try FileContents(reading: file)
        } catch {
            let what = "a file of Services with their EndpointSlices or Endpoints, as kubectl get -o yaml prints them"
            return .bad(
                InputError(
                    location: SourceLocation(file: file, line: 0), problem: "cannot be read: \(error)", expected: what),
                nil)
        }
        do throws(InputError) {
            let stream = try ObjectStream(reading: contents.bytes, file: file)
            let snapshot = DirectorySnapshot(
                objects: stream.objects, clusterDomain: clusterDomain, diagnostics: stream.diagnostics)
            return .good(snapshot, contents.version)
        } catch {
            return .bad(error, contents.version)
        }
    }
}
