import CLinux
import Glibc
import SFTP
import Testing

@Suite("Files by SFTP")
struct FileServerTests {
    private let outside = TemporaryDirectory()
    private let data = TemporaryDirectory()
    private let config = TemporaryDirectory()
    private let server: FileServer

    init() {
        outside.file("secret", "not yours")
        config.directory("..2026")
        config.file("..2026/hello.yaml", "greeting: hello\n")
        config.link("..data", to: "..2026")
        config.link("hello.yaml", to: "..data/hello.yaml")
        data.file("a", "0123456789")
        server = FileServer(
            tree: FileTree(
                root: "/hello",
                mounts: [
                    FileTree.Mount(path: "/etc/hello", directory: config.path, isReadOnly: true),
                    FileTree.Mount(path: "/data", directory: data.path),
                    FileTree.Mount(path: "/data/deep", directory: config.path, isReadOnly: true),
                    FileTree.Mount(
                        path: "/etc/one.yaml", directory: "\(config.path)/..2026/hello.yaml", isReadOnly: true),
                ]), number: 7)
    }

    private func ask(_ bytes: [UInt8]) -> Answer? { server.answer(bytes).flatMap { Answer.all($0).first } }

    private func read(_ path: String) -> String? {
        var packets = Packets()
        guard let handle = ask(packets.open(path, flags: 1))?.string else { return nil }
        let answer = ask(
            packets.handled(.read, handle) { writer in
                writer.write(UInt64(0))
                writer.write(UInt32(4096))
            })
        _ = ask(packets.handled(.close, handle))
        return answer?.type == .data ? answer?.string.map { String(decoding: $0, as: UTF8.self) } : nil
    }

    private func status(_ path: String, _ type: SFTPPacketType = .lstat) -> SFTPStatus.Code? {
        var packets = Packets()
        return ask(packets.request(type, path: path))?.status
    }

    @Test("volumes as kubelets lay them out are read, through their links")
    func volumes() {
        #expect(read("/hello/etc/hello/hello.yaml") == "greeting: hello\n")
        #expect(read("/hello/etc/one.yaml") == "greeting: hello\n")
        #expect(read("/hello/data/a") == "0123456789")
    }

    @Test("of nested mount points the most specific counts")
    func nested() { #expect(read("/hello/data/deep/hello.yaml") == "greeting: hello\n") }

    @Test(
        "no path leads out",
        arguments: [
            "/hello/../../etc/passwd", "/hello/data/../../../etc/passwd", "/etc/passwd", "/hello/data/out",
            "/hello/data/absolute", "/hello/data/round", "/hello/data/up/secret", "/other/data/a", "/hello/etc",
            "/hello/data/a\0", "/hello/etc/one.yaml/x",
        ])
    func escapes(path: String) {
        data.link("out", to: "../../../../../../../../../../etc/passwd")
        data.link("absolute", to: "\(outside.path)/secret")
        data.link("round", to: "round")
        data.link("up", to: "..")
        #expect(read(path) == nil)
    }

    /// The walk that takes the place of openat2(2), where a filter has none.
    @Test(
        "step by step no path leads out either",
        arguments: [
            ("hello.yaml", true), ("..data/hello.yaml", true), ("../../../../etc/passwd", false), ("absolute", false),
            ("loop", false), ("./..2026/../hello.yaml", true), ("", true), ("nothing", false), ("hello.yaml/x", false),
            ("up/up/up/hello.yaml", true),
        ])
    func walk(path: String, isFound: Bool) {
        config.link("absolute", to: "/etc/passwd")
        config.link("loop", to: "loop")
        config.link("up", to: "../..")
        let root = open(config.path, O_RDONLY | O_DIRECTORY)
        defer { close(root) }
        for found in [clinux_walk_in_root(root, path, O_RDONLY, 0), clinux_open_in_root(root, path, O_RDONLY, 0)] {
            #expect((found >= 0) == isFound)
            if found >= 0 { close(found) }
        }
    }

    @Test("what is read only stays as it is")
    func readOnly() {
        var packets = Packets()
        let path = "/hello/etc/hello/new"
        #expect(ask(packets.open(path, flags: 2 | 8))?.status == .permissionDenied)
        #expect(ask(packets.open("/hello/etc/one.yaml", flags: 2))?.status == .permissionDenied)
        #expect(status("/hello/etc/hello/hello.yaml", .remove) == .permissionDenied)
        #expect(status("/hello/etc", .rmdir) == .permissionDenied)
        let mkdir = packets.request(.mkdir) { writer in
            writer.write(path)
            writer.write(UInt32(0))
        }
        #expect(ask(mkdir)?.status == .permissionDenied)
    }

    @Test("directories between the root and the mount points are listed")
    func listing() throws {
        func names(_ path: String) throws -> [String] {
            var packets = Packets()
            let handle = try #require(ask(packets.request(.opendir, path: path))?.string)
            let answer = try #require(ask(packets.handled(.readdir, handle)))
            let end = ask(packets.handled(.readdir, handle))
            #expect(end?.status == .endOfFile)
            return answer.names.sorted()
        }
        #expect(try names("/") == [".", "..", "hello"])
        #expect(try names("/hello") == [".", "..", "data", "etc"])
        #expect(try names("/hello/etc") == [".", "..", "hello", "one.yaml"])
        #expect(try names("/hello/data") == [".", "..", "a"])
    }

    @Test("files are written, renamed, linked and removed")
    func changes() throws {
        var packets = Packets()
        let handle = try #require(ask(packets.open("/hello/data/new", flags: 2 | 8 | 32))?.string)
        #expect(handle.count == SFTPHandle.length && handle[0] == 7)
        let written = ask(
            packets.handled(.write, handle) { writer in
                writer.write(UInt64(3))
                writer.write("abc")
            })
        #expect(written?.status == .ok)
        #expect(ask(packets.handled(.close, handle))?.status == .ok)
        #expect(ask(packets.handled(.close, handle))?.status == .failure)
        #expect(data.contents("new") == "\0\0\0abc")
        func both(_ type: SFTPPacketType, _ from: String, _ to: String) -> SFTPStatus.Code? {
            ask(
                packets.request(type) { writer in
                    writer.write(from)
                    writer.write(to)
                })?.status
        }
        #expect(both(.rename, "/hello/data/new", "/hello/data/a") == .failure)
        #expect(both(.rename, "/hello/data/new", "/hello/data/b") == .ok)
        #expect(both(.rename, "/hello/data/b", "/hello/data/deep/b") == .permissionDenied)
        #expect(data.contents("b") == "\0\0\0abc")
        #expect(both(.symlink, "b", "/hello/data/link") == .ok)
        #expect(ask(packets.request(.readlink, path: "/hello/data/link"))?.names == ["b"])
        #expect(status("/hello/data/link", .remove) == .ok)
        #expect(status("/hello/data/b", .remove) == .ok)
        #expect(status("/hello/data/b") == .noSuchFile)
        #expect(status("/hello/data", .rmdir) == .permissionDenied)
    }

    @Test("a pipe is shown and not opened")
    func pipe() {
        mkfifo("\(data.path)/pipe", 0o600)
        #expect(read("/hello/data/pipe") == nil)
        var packets = Packets()
        let attributes = ask(packets.request(.lstat, path: "/hello/data/pipe"))?.attributes
        #expect(attributes.map { ($0.permissions ?? 0) & UInt32(S_IFMT) } == UInt32(S_IFIFO))
    }

    @Test("what is cut off anywhere is no packet, and what is none ends the connection")
    func truncated() {
        var packets = Packets()
        let whole = packets.open("/hello/data/a", flags: 1)
        for length in 0..<whole.count {
            #expect(server.answer(Array(whole[..<length])) == [])
        }
        for length in 9..<whole.count {
            // The length says that it is all there.
            var short = Array(whole[..<length])
            short.replaceSubrange(0..<4, with: [0, 0, 0, UInt8(length - 4)])
            #expect(server.answer(short) == nil)
        }
        #expect(server.answer([0, 0, 0, 0, 1]) == nil)
        #expect(server.answer([0xff, 0xff, 0xff, 0xff, 1]) == nil)
    }

    @Test("noise is survived")
    func noise() {
        var generator = SplitMix(seed: 42)
        for _ in 0..<20_000 {
            let length = Int.random(in: 5...64, using: &generator)
            var packet = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            packet.replaceSubrange(0..<4, with: [0, 0, 0, UInt8(length - 4)])
            packet[4] = UInt8.random(in: 1...20, using: &generator)
            _ = server.answer(packet)
        }
        #expect(read("/hello/data/a") == "0123456789")
    }

    @Test("a connection has so many files and no more")
    func handles() {
        var packets = Packets()
        for _ in 0..<SFTPLimits.maximumHandles { _ = ask(packets.open("/hello/data/a", flags: 1)) }
        #expect(ask(packets.open("/hello/data/a", flags: 1))?.status == .failure)
    }
}

/// Always the same numbers for a seed.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
