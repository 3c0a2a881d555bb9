import SSHClient
import Testing

@testable import Forwarding

/// ssh's grammar of -L, -R and -D (readconf.c, parse_forward), with port 0 also for listeners here.
@Suite struct ForwardSpecTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var kind: ForwardSpec.Kind
        var text: String
        var listen: ForwardSpec.Listen
        var target: ForwardSpec.Target

        var testDescription: String { "\(kind) \(text)" }
    }

    private static func tcp(_ host: String, _ port: UInt16) -> ForwardSpec.Target {
        .endpoint(.tcp(host: host, port: port))
    }

    static let accepted: [Case] = [
        Case(kind: .local, text: "8080:hello:80", listen: .tcp(bind: nil, port: 8080), target: tcp("hello", 80)),
        Case(kind: .local, text: "0:hello:80", listen: .tcp(bind: nil, port: 0), target: tcp("hello", 80)),
        Case(kind: .local, text: ":8080:hello:80", listen: .tcp(bind: "", port: 8080), target: tcp("hello", 80)),
        Case(kind: .local, text: "*:8080:hello:80", listen: .tcp(bind: "*", port: 8080), target: tcp("hello", 80)),
        Case(
            kind: .local, text: "[::1]:8080:[2001:db8::2]:80", listen: .tcp(bind: "::1", port: 8080),
            target: tcp("2001:db8::2", 80)),
        Case(
            kind: .local, text: "/tmp/a.sock:hello:80", listen: .unix(path: "/tmp/a.sock"), target: tcp("hello", 80)),
        Case(
            kind: .local, text: "8080:/run/b.sock", listen: .tcp(bind: nil, port: 8080),
            target: .endpoint(.unix(path: "/run/b.sock"))),
        Case(
            kind: .local, text: "localhost:8080:/run/b.sock", listen: .tcp(bind: "localhost", port: 8080),
            target: .endpoint(.unix(path: "/run/b.sock"))),
        Case(
            kind: .local, text: "/tmp/a.sock:/run/b.sock", listen: .unix(path: "/tmp/a.sock"),
            target: .endpoint(.unix(path: "/run/b.sock"))),
        Case(
            kind: .local, text: #"/tmp/a\:b:hello:80"#, listen: .unix(path: "/tmp/a:b"), target: tcp("hello", 80)),
        Case(kind: .local, text: "  1:h:2", listen: .tcp(bind: nil, port: 1), target: tcp("h", 2)),
        Case(kind: .remote, text: "0:localhost:3000", listen: .tcp(bind: nil, port: 0), target: tcp("localhost", 3000)),
        Case(
            kind: .remote, text: "hello:80:localhost:9000", listen: .tcp(bind: "hello", port: 80),
            target: tcp("localhost", 9000)),
        Case(kind: .remote, text: "1080", listen: .tcp(bind: nil, port: 1080), target: .socks),
        Case(
            kind: .remote, text: "/run/x.sock:localhost:1", listen: .unix(path: "/run/x.sock"),
            target: tcp("localhost", 1)),
        Case(kind: .dynamic, text: "1080", listen: .tcp(bind: nil, port: 1080), target: .socks),
        Case(kind: .dynamic, text: "[::1]:1080", listen: .tcp(bind: "::1", port: 1080), target: .socks),
        Case(kind: .dynamic, text: "/tmp/socks.sock", listen: .unix(path: "/tmp/socks.sock"), target: .socks),
    ]

    @Test(arguments: accepted) func reads(_ example: Case) throws {
        let spec = try ForwardSpec(example.kind, parsing: example.text)
        #expect(spec.listen == example.listen)
        #expect(spec.target == example.target)
    }

    @Test(arguments: [
        (ForwardSpec.Kind.local, ""), (.local, "8080"), (.local, "8080:hello"), (.local, "8080:hello:"),
        (.local, "8080:hello:0"), (.local, "8080::80"), (.local, "65536:hello:80"), (.local, "+1:hello:80"),
        (.local, "-1:hello:80"), (.local, "x:hello:80"), (.local, "8080:hello:http"), (.local, "a:1:b:2:c"),
        (.local, "::1:8080:hello:80"), (.local, "[::1:8080:hello:80"), (.local, "[::1]8080:hello:80"),
        (.local, "8080:-oProxyCommand=x:80"), (.local, "-x:8080:hello:80"), (.local, "8080:he\nllo:80"),
        (.local, "8080:he\u{0}llo:80"), (.local, "8080:he llo:80"), (.local, #"8080:hello:80\"#),
        (.dynamic, "1080:hello:80"), (.dynamic, "x"), (.dynamic, ""), (.remote, ""), (.remote, "80:hello:0"),
        (.local, "/" + String(repeating: "x", count: 108) + ":hello:80"),
    ])
    func refuses(_ kind: ForwardSpec.Kind, _ text: String) {
        let error = #expect(throws: ForwardSpecError.self) { try ForwardSpec(kind, parsing: text) }
        // One line, that says what was expected.
        #expect(error?.description.contains("expected ") == true)
        #expect(error?.description.contains("\n") == false)
    }

    @Test(arguments: [
        ("80:h:1", RemoteForward.tcp(bind: "localhost", port: 80)), (":80:h:1", .tcp(bind: "", port: 80)),
        ("*:80:h:1", .tcp(bind: "", port: 80)), ("hello:80:h:1", .tcp(bind: "hello", port: 80)),
        ("/a:h:1", .unix(path: "/a")),
    ])
    func asksAsOpenSSHDoes(_ text: String, _ wanted: RemoteForward) throws {
        #expect(try ForwardSpec(.remote, parsing: text).remoteForward == wanted)
    }
}
