import Glibc
import Testing

@testable import Workstation

@Suite struct ResolvConfFileTests {
    /// A directory of its own for each test.
    private func withFile(_ body: (ResolvConfFile, String) throws -> Void) throws {
        var template = Array("/tmp/resolv-conf-tests.XXXXXX".utf8CString)
        _ = try #require(mkdtemp(&template))
        let directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        mkdir("\(directory)/etc", 0o755)
        mkdir("\(directory)/run", 0o755)
        defer {
            for name in ["etc/resolv.conf", "run/manager.conf", "state/resolv.conf"] { unlink("\(directory)/\(name)") }
            for name in ["etc", "run", "state", ""] { rmdir("\(directory)/\(name)") }
        }
        try body(
            ResolvConfFile(path: "\(directory)/etc/resolv.conf", stateDirectory: "\(directory)/state"), directory)
    }

    private func block(_ name: String = "default") throws -> ResolvConf.Block {
        ResolvConf.Block(
            name: name, server: try #require(NetworkAddress("198.18.0.1")), searchDomains: ["cluster.local"])
    }

    @Test func aFileIsPutBackAsItWas() throws {
        try withFile { file, _ in
            #expect(TextFile.replace(file.path, with: Array("nameserver 192.0.2.1".utf8)) == 0)
            chmod(file.path, 0o640)
            #expect(try file.add(block()))
            #expect(try !file.add(block()))
            #expect(file.read().servers().map(\.description) == ["198.18.0.1", "192.0.2.1"])
            try file.remove("other")
            #expect(file.read().blocks.count == 1)
            try file.remove("default")
            #expect(TextFile.read(file.path) == "nameserver 192.0.2.1")
            var status = stat()
            #expect(stat(file.path, &status) == 0 && status.st_mode & 0o777 == 0o640)
        }
    }

    @Test func aLinkIsOneAgainAndItsFileIsFollowed() throws {
        try withFile { file, directory in
            let manager = "\(directory)/run/manager.conf"
            #expect(TextFile.replace(manager, with: Array("nameserver 192.0.2.1\n".utf8)) == 0)
            symlink("../run/manager.conf", file.path)
            try file.add(block())
            #expect(TextFile.link(file.path) == nil)
            #expect(TextFile.read(manager) == "nameserver 192.0.2.1\n")
            #expect(file.watchedDirectories == ["\(directory)/etc", "\(directory)/etc/../run"])
            #expect(TextFile.replace(manager, with: Array("nameserver 192.0.2.2\n".utf8)) == 0)
            #expect(try file.add(block()))
            #expect(file.read().servers(below: "default").map(\.description) == ["192.0.2.2"])
            try file.remove("default")
            #expect(TextFile.link(file.path) == "../run/manager.conf")
            #expect(TextFile.read(file.path) == "nameserver 192.0.2.2\n")
        }
    }

    @Test func whatWasNotThereIsNotThereAfterwards() throws {
        try withFile { file, _ in
            try file.add(block())
            #expect(file.read().blocks.count == 1)
            try file.remove("default")
            #expect(access(file.path, F_OK) != 0)
        }
    }

    @Test func whatSomebodyElseWroteMeanwhileStays() throws {
        try withFile { file, _ in
            try file.add(block())
            #expect(TextFile.replace(file.path, with: Array("nameserver 192.0.2.9\n".utf8)) == 0)
            try file.remove("default")
            #expect(TextFile.read(file.path) == "nameserver 192.0.2.9\n")
        }
    }

    @Test func sessionsMayEndInAnyOrder() throws {
        try withFile { file, _ in
            #expect(TextFile.replace(file.path, with: Array("search lan\n".utf8)) == 0)
            try file.add(block("a"))
            try file.add(block("b"))
            #expect(file.read().blocks.map(\.name) == ["b", "a"])
            try file.remove("a")
            try file.remove("b")
            #expect(TextFile.read(file.path) == "search lan\n")
        }
    }
}
