import Forwarding
import NIOCore
import Testing

@Suite struct HTTPProxyMachineTests {
    /// What comes of a request, however it arrives.
    private func ask(_ text: String) -> (HTTPProxyMachine.Effect?, ByteBuffer, HTTPProxyMachine) {
        var whole = HTTPProxyMachine()
        var input = ByteBuffer(string: text)
        let effect = whole.receive(&input)
        var dripped = HTTPProxyMachine()
        var drops = ByteBuffer()
        var late: HTTPProxyMachine.Effect?
        for byte in text.utf8 {
            drops.writeInteger(byte)
            if late == nil { late = dripped.receive(&drops) }
        }
        #expect(late == effect)
        #expect(drops == input)
        return (effect, input, whole)
    }

    private func refusal(_ text: String) -> String? {
        guard case .refuse(let bytes)? = ask(text).0 else { return nil }
        return String(buffer: bytes)
    }

    @Test(arguments: [
        ("hello:80", "hello", 80), ("hello.default.svc.cluster.local:65535", "hello.default.svc.cluster.local", 65535),
        ("10.43.0.1:443", "10.43.0.1", 443), ("[fd00::1]:80", "fd00::1", 80),
    ])
    func connectLeadsAnywhere(_ target: String, _ host: String, _ port: Int) {
        let (effect, rest, initial) = ask("CONNECT \(target) HTTP/1.1\r\nHost: \(target)\r\n\r\nafter")
        #expect(effect == .connect(SOCKSRequest(host: host, port: UInt16(port))))
        #expect(String(buffer: rest) == "after")
        var machine = initial
        let (reply, ahead) = machine.succeed()
        #expect(String(buffer: reply) == "HTTP/1.1 200 Connection established\r\n\r\n")
        #expect(ahead.readableBytes == 0)
    }

    @Test func aRequestForAWholeURIBecomesTheTargetsOwn() {
        let (effect, rest, initial) = ask(
            "POST http://hello:81/a?b#c HTTP/1.1\r\nHost: other\r\nProxy-Connection: keep-alive\r\nX: y \r\n"
                + "Proxy-Authorization: Basic eA==\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi")
        #expect(effect == .connect(SOCKSRequest(host: "hello", port: 81)))
        #expect(String(buffer: rest) == "hi")
        var machine = initial
        let (reply, ahead) = machine.succeed()
        #expect(reply.readableBytes == 0)
        #expect(
            String(buffer: ahead)
                == "POST /a?b HTTP/1.1\r\nHost: hello:81\r\nX: y \r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
    }

    @Test(arguments: [("http://hello", "GET / "), ("HTTP://hello?x", "GET /?x "), ("http://[::1]/", "GET / ")])
    func aPathIsAlwaysThere(_ target: String, _ line: String) {
        let (effect, _, initial) = ask("GET \(target) HTTP/1.1\n\n")
        guard case .connect(let request)? = effect else {
            Issue.record("\(target)")
            return
        }
        #expect(request.port == 80)
        var machine = initial
        #expect(String(buffer: machine.succeed().ahead).hasPrefix(line))
    }

    @Test func anUpgradeIsPassedOn() {
        var (_, _, machine) = ask(
            "GET http://hello/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        let head = String(buffer: machine.succeed().ahead)
        #expect(head.contains("Upgrade: websocket\r\n"))
        #expect(head.hasSuffix("Connection: upgrade\r\n\r\n"))
    }

    @Test(arguments: [
        "CONNECT hello HTTP/1.1\r\n\r\n", "CONNECT :80 HTTP/1.1\r\n\r\n", "CONNECT hello:0 HTTP/1.1\r\n\r\n",
        "CONNECT hello:x HTTP/1.1\r\n\r\n", "CONNECT a:b:80 HTTP/1.1\r\n\r\n", "CONNECT -o:80 HTTP/1.1\r\n\r\n",
        "CONNECT u@hello:80 HTTP/1.1\r\n\r\n", "CONNECT [::1:80 HTTP/1.1\r\n\r\n", "CONNECT [x]:80 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET https://hello/ HTTP/1.1\r\n\r\n", "GET http:/// HTTP/1.1\r\n\r\n",
        "GET http://hello/ HTTP/2\r\n\r\n", "GET http://hello/\r\n\r\n", "GET  http://hello/ HTTP/1.1\r\n\r\n",
        "G(T http://hello/ HTTP/1.1\r\n\r\n", "GET http://hello/ HTTP/1.1\r\n folded\r\n\r\n",
        "GET http://hello/ HTTP/1.1\r\nno colon\r\n\r\n", "GET http://hello/ HTTP/1.1\r\nName : x\r\n\r\n",
        "GET http://u:p@hello/ HTTP/1.1\r\n\r\n", "GET http://hel\u{1}lo/ HTTP/1.1\r\n\r\n",
        "GET http://hello/ HTTP/1.1\r\nA: b\rc\r\n\r\n", "\r\n\r\n",
    ])
    func whatIsMalformedIsRefused(_ text: String) {
        #expect(refusal(text)?.hasPrefix("HTTP/1.1 400 Bad Request\r\n") == true)
    }

    @Test func aHeadHasABound() {
        var machine = HTTPProxyMachine()
        var input = ByteBuffer(string: "GET http://hello/ HTTP/1.1\r\nX: " + String(repeating: "x", count: 40_000))
        guard case .refuse(let bytes)? = machine.receive(&input) else {
            Issue.record("taken")
            return
        }
        #expect(String(buffer: bytes).hasPrefix("HTTP/1.1 431 "))
        #expect(machine.receive(&input) == nil)
    }

    @Test(arguments: [
        (SOCKSFailure.notAllowed, 403), (.connectionRefused, 502), (.hostUnreachable, 502), (.ttlExpired, 504),
        (.networkUnreachable, 503), (.generalFailure, 502),
    ])
    func aFailureHasItsStatus(_ failure: SOCKSFailure, _ status: Int) {
        var (_, _, machine) = ask("CONNECT hello:80 HTTP/1.1\r\n\r\n")
        #expect(String(buffer: machine.fail(failure)).hasPrefix("HTTP/1.1 \(status) "))
    }
}
