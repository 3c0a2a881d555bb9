import Glibc
import Kubernetes
import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import TrafficManager

struct StaticDirectoryTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    @Test func loadsAndReloads() async throws {
        let file = try TemporaryFile(ClusterFixture.service("a", endpoints: ["10.42.9.1"]))
        let source = try StaticDirectory(file: file.path, logger: logger)
        let directory = source.directory
        #expect(directory.snapshot.services.map(\.name) == ["a"])
        #expect(await source.reload() == .unchanged)

        try file.replace(with: ClusterFixture.service("b", endpoints: ["10.42.9.1"]))
        #expect(await source.reload() == .reloaded)
        #expect(directory.snapshot.services.map(\.name) == ["b"])
        #expect(await source.reload() == .unchanged)

        try file.write(ClusterFixture.service("long-name", endpoints: ["10.42.9.1"]))
        #expect(await source.reload() == .reloaded)
        #expect(directory.snapshot.services.map(\.name) == ["long-name"])
    }

    @Test func keepsTheOldVersionWhenTheNewOneIsBad() async throws {
        let file = try TemporaryFile(ClusterFixture.service("a", endpoints: ["10.42.9.1"]))
        let source = try StaticDirectory(file: file.path, logger: logger)
        try file.replace(with: "apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {ports: [{port: 0}]}\n")
        let line =
            "\(file.path):4: spec.ports[0].port of Service default/b is \"0\"; expected a port number from 1 to 65535"
        #expect(await source.reload() == .kept(line))
        #expect(source.directory.snapshot.services.map(\.name) == ["a"])
        #expect(source.directory.problem == line)
        // It was judged once; nothing is new until the file changes.
        #expect(await source.reload() == .unchanged)
        #expect(source.directory.problem == line)

        try file.replace(with: ClusterFixture.service("c", endpoints: []))
        #expect(await source.reload() == .reloaded)
        #expect(source.directory.problem == nil)
    }

    @Test func survivesAFileThatIsGoneForAWhile() async throws {
        let text = ClusterFixture.service("a", endpoints: [])
        let file = try TemporaryFile(text)
        let source = try StaticDirectory(file: file.path, logger: logger)
        unlink(file.path)
        guard case .kept(let line) = await source.reload() else {
            Issue.record("not noticed")
            return
        }
        #expect(line.hasPrefix("\(file.path): cannot be read: No such file or directory; expected "))
        #expect(source.directory.snapshot.services.map(\.name) == ["a"])
        try file.write(text)
        #expect(await source.reload() == .reloaded)
        #expect(source.directory.problem == nil)
    }

    @Test(arguments: [
        ("services: [", "2: "), ("kind: Service\n", "1: an object has no apiVersion"),
    ])
    func refusesToStartWithABadFile(text: String, complaint: String) throws {
        let file = try TemporaryFile(text)
        let error = #expect(throws: InputError.self) { try StaticDirectory(file: file.path, logger: logger) }
        #expect(error?.description.hasPrefix("\(file.path):\(complaint)") == true)
    }

    @Test func refusesToStartWithoutAFile() {
        let error = #expect(throws: InputError.self) { try StaticDirectory(file: "/nowhere/x.yaml", logger: logger) }
        #expect(error?.description.hasPrefix("/nowhere/x.yaml: cannot be read: No such file or directory; ") == true)
        let directory = #expect(throws: InputError.self) { try StaticDirectory(file: "/", logger: logger) }
        #expect(directory?.description.hasPrefix("/: cannot be read: Is a directory; ") == true)
    }

    /// As a service: it follows the file, and ends when it is told to.
    @Test(.timeLimit(.minutes(1))) func followsTheFileUntilItIsStopped() async throws {
        let file = try TemporaryFile(ClusterFixture.service("a", endpoints: []))
        let source = try StaticDirectory(file: file.path, interval: .milliseconds(5), logger: logger)
        let group = ServiceGroup(services: [source], logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try file.replace(with: ClusterFixture.service("b", endpoints: []))
            for await snapshot in source.directory.changes() where snapshot.services.map(\.name) == ["b"] { break }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test func saysWhatChanged() throws {
        let old = try ClusterFixture.snapshot(
            ClusterFixture.service("gone", endpoints: []) + ClusterFixture.service("same", endpoints: ["10.42.9.1"])
                + ClusterFixture.service("more", endpoints: ["10.42.9.1"])
                + ClusterFixture.service("moved", clusterIP: "10.43.0.1", endpoints: ["10.42.9.1"]))
        let new = try ClusterFixture.snapshot(
            ClusterFixture.service("moved", clusterIP: "10.43.0.2", endpoints: ["10.42.9.2"])
                + ClusterFixture.service("more", endpoints: ["10.42.9.1", "10.42.9.2"])
                + ClusterFixture.service("same", endpoints: ["10.42.9.1"])
                + ClusterFixture.service("new", endpoints: []))
        let change = DirectoryChange(from: old, to: new)
        #expect(change.added == ["default/new"])
        #expect(change.removed == ["default/gone"])
        #expect(change.changed == ["default/more (ready endpoints 1 → 2)", "default/moved (service, endpoints)"])
        #expect(DirectoryChange(from: new, to: new).isEmpty)
        #expect(DirectoryChange.shown((1...22).map { "s\($0)" }).hasSuffix("s20 and 2 more"))
    }
}

/// A file in a directory of its own, gone with the last reference.
private final class TemporaryFile: Sendable {
    let directory: String
    let path: String
    private let versions = Atomic(0)

    init(_ text: String) throws {
        var template = Array("/tmp/directory-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure() }
        directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        path = directory + "/services.yaml"
        try write(text)
    }

    deinit {
        unlink(path)
        rmdir(directory)
    }

    struct Failure: Error {}

    func write(_ text: String) throws { try write(text, to: path) }

    /// As editors and ConfigMaps do it: a new file takes the old one's name.
    func replace(with text: String) throws {
        let next = "\(path).\(versions.add(1, ordering: .relaxed).newValue)"
        try write(text, to: next)
        guard rename(next, path) == 0 else { throw Failure() }
    }

    private func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw Failure() }
        fputs(text, file)
        guard fclose(file) == 0 else { throw Failure() }
    }
}
