import Glibc
import NIOCore
import Testing

@testable import TrafficManager

@Suite struct StreamLocalPolicyTests {
    /// A directory with a socket, a file, a link out of it and a link that stays inside.
    private final class Place {
        let root: String
        let shared: String

        init() throws {
            var template = Array("/tmp/streamlocal-XXXXXX".utf8CString)
            root = try #require(mkdtemp(&template).map { String(cString: $0) })
            shared = root + "/shared"
            for directory in [shared, shared + "/sub", root + "/secret"] { #expect(mkdir(directory, 0o700) == 0) }
            try listen(at: shared + "/app.sock")
            try listen(at: root + "/secret/db.sock")
            #expect(symlink("../secret", shared + "/way-out") == 0)
            #expect(symlink("../secret/db.sock", shared + "/link.sock") == 0)
            #expect(symlink(shared, root + "/alias") == 0)
            let file = open(shared + "/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
            #expect(file >= 0)
            close(file)
        }

        private func listen(at path: String) throws {
            let handle = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
            defer { close(handle) }
            let bound = try SocketAddress(unixDomainSocketPath: path).withSockAddr { bind(handle, $0, socklen_t($1)) }
            #expect(bound == 0)
        }

        deinit {
            for path in [
                "shared/app.sock", "shared/way-out", "shared/link.sock", "shared/file", "secret/db.sock", "alias",
            ] { unlink("\(root)/\(path)") }
            for path in ["shared/sub", "shared", "secret", ""] { rmdir("\(root)/\(path)") }
        }
    }

    private func harness(_ directory: String?) throws -> DelegateHarness {
        var configuration = ManagerDelegate.Configuration()
        configuration.streamLocal.directory = directory
        return try DelegateHarness(configuration)
    }

    @Test func noneWithoutADirectory() async throws {
        let text = "1: Unix sockets are not forwarded (the manager runs without --stream-local-dir)"
        #expect(try await harness(nil).destination(socketPath: "/run/docker.sock") == text)
        #expect(try harness(nil).listener(socketPath: "/tmp/x.sock") == text)
    }

    @Test func thoseInTheDirectory() async throws {
        let place = try Place()
        for directory in [place.shared, place.shared + "/", place.root + "/alias"] {
            let harness = try harness(directory)
            #expect(try await harness.destination(socketPath: place.shared + "/app.sock") == place.shared + "/app.sock")
            #expect(
                try await harness.destination(socketPath: place.root + "/alias/./app.sock")
                    == place.shared + "/app.sock")
            #expect(harness.listener(socketPath: place.shared + "/new.sock") == place.shared + "/new.sock")
            #expect(harness.listener(socketPath: place.shared + "/sub/new.sock") == place.shared + "/sub/new.sock")
        }
    }

    @Test func nothingElse() async throws {
        let place = try Place()
        let harness = try harness(place.shared)
        let outside = [
            "/etc/passwd", "\(place.root)/secret/db.sock", "\(place.shared)/../secret/db.sock",
            "\(place.shared)/way-out/db.sock", "\(place.shared)-other/x", "shared/app.sock", "app.sock", "", "/",
            "\(place.shared)/", place.shared, "/nosuch/x.sock", "\(place.shared)/..", "\(place.shared)/.",
        ]
        for path in outside {
            for answer in [try await harness.destination(socketPath: path), harness.listener(socketPath: path)] {
                #expect(answer == "1: \(path) is not below \(place.shared) (the manager's --stream-local-dir)")
            }
        }
        for path in ["\(place.shared)/link.sock", "\(place.shared)/file", "\(place.shared)/sub"] {
            for answer in [try await harness.destination(socketPath: path), harness.listener(socketPath: path)] {
                #expect(answer == "1: \(path) is not a socket")
            }
        }
        #expect(
            try await harness.destination(socketPath: "\(place.shared)/gone.sock")
                == "2: \(place.shared)/gone.sock: no such socket")
        #expect(
            harness.listener(socketPath: "\(place.shared)/gone/x.sock") == "2: \(place.shared)/gone: no such directory")
        let long = place.shared + "/" + String(repeating: "a", count: 108)
        #expect(harness.listener(socketPath: long) == "2: the path of a Unix socket is at most 107 bytes")
        #expect(harness.listener(socketPath: "\(place.shared)/a\0b").hasPrefix("2: "))
    }
}
