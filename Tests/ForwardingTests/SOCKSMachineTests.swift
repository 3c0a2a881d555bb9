import NIOCore
import SSHClient
import Testing

@testable import Forwarding

@Suite struct SOCKSMachineTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var input: [UInt8]
        var request: SOCKSRequest
        var success: [UInt8]

        var testDescription: String { name }
    }

    private static let granted5: [UInt8] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    private static let granted4: [UInt8] = [0, 90, 0, 0, 0, 0, 0, 0]

    static let cases: [Case] = [
        Case(
            name: "SOCKS5 IPv4", input: [5, 1, 0] + [5, 1, 0, 1, 10, 42, 0, 7, 0, 80],
            request: SOCKSRequest(host: "10.42.0.7", port: 80), success: granted5),
        Case(
            name: "SOCKS5 name, after other methods",
            input: [5, 3, 2, 1, 0] + [5, 1, 0, 3, 5] + Array("hello".utf8) + [1, 187],
            request: SOCKSRequest(host: "hello", port: 443), success: granted5),
        Case(
            name: "SOCKS5 IPv6",
            input: [5, 1, 0] + [5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 53],
            request: SOCKSRequest(host: "2001:db8::1", port: 53), success: granted5),
        Case(
            name: "SOCKS4", input: [4, 1, 0, 80, 10, 0, 0, 1] + Array("me".utf8) + [0],
            request: SOCKSRequest(host: "10.0.0.1", port: 80), success: granted4),
        Case(
            name: "SOCKS4a", input: [4, 1, 0, 80, 0, 0, 0, 1, 0] + Array("hello.default".utf8) + [0],
            request: SOCKSRequest(host: "hello.default", port: 80), success: granted4),
    ]

    /// Feeds the input in pieces of `size`; what follows the request must be left alone.
    @Test(arguments: cases, [1, 2, 1000]) func connects(_ example: Case, _ size: Int) {
        var machine = SOCKSMachine()
        var input = ByteBuffer()
        var rest = ByteBuffer(bytes: example.input + Array("GET /".utf8))
        var requests: [SOCKSRequest] = []
        while let piece = rest.readSlice(length: min(size, rest.readableBytes)), piece.readableBytes > 0 {
            input.writeImmutableBuffer(piece)
            while let effect = machine.receive(&input) {
                switch effect {
                case .connect(let request): requests.append(request)
                case .send(let answer): #expect(answer == ByteBuffer(bytes: [5, 0]))
                case .refuse, .close, .associate: Issue.record("\(effect)")
                }
            }
        }
        #expect(requests == [example.request])
        #expect(machine.succeed() == ByteBuffer(bytes: example.success))
        #expect(String(buffer: input) == "GET /")
    }

    @Test(arguments: [
        ("no method offered", [5, 1, 2] as [UInt8], [5, 0xff] as [UInt8]),
        ("BIND", [5, 1, 0, 5, 2, 0, 1, 1, 2, 3, 4, 0, 80], [5, 7, 0, 1, 0, 0, 0, 0, 0, 0]),
        ("address type", [5, 1, 0, 5, 1, 0, 9, 1], [5, 8, 0, 1, 0, 0, 0, 0, 0, 0]),
        ("name like an option", [5, 1, 0, 5, 1, 0, 3, 2, 0x2d, 0x78, 0, 80], [5, 1, 0, 1, 0, 0, 0, 0, 0, 0]),
        ("name with NUL", [5, 1, 0, 5, 1, 0, 3, 2, 0x61, 0, 0, 80], [5, 1, 0, 1, 0, 0, 0, 0, 0, 0]),
        ("SOCKS4 BIND", [4, 2, 0, 80, 10, 0, 0, 1, 0], [0, 91, 0, 0, 0, 0, 0, 0]),
        (
            "SOCKS4 endless user", [4, 1, 0, 80, 10, 0, 0, 1] + Array(repeating: 65, count: 300),
            [0, 91, 0, 0, 0, 0, 0, 0]
        ),
    ])
    func refuses(_ name: String, _ bytes: [UInt8], _ answer: [UInt8]) {
        var machine = SOCKSMachine()
        var input = ByteBuffer(bytes: bytes)
        var last: SOCKSMachine.Effect?
        while let effect = machine.receive(&input) { last = effect }
        #expect(last == .refuse(ByteBuffer(bytes: answer)))
    }

    @Test func closesOnAnythingElse() {
        var machine = SOCKSMachine()
        var input = ByteBuffer(string: "GET / HTTP/1.1\r\n")
        #expect(machine.receive(&input) == .close)
    }

    @Test(arguments: [
        (SSHClientError.connectFailed("Connection refused"), SOCKSFailure.connectionRefused),
        (.connectFailed("Connection timed out"), .ttlExpired), (.connectFailed("No route to host"), .hostUnreachable),
        (.connectFailed("Network is unreachable"), .networkUnreachable),
        (.connectFailed("Name or service not known"), .hostUnreachable), (.connectFailed("odd"), .generalFailure),
        (SSHClientError(.timedOut, ""), .ttlExpired), (SSHClientError(.connectionLost, ""), .networkUnreachable),
    ])
    func saysWhy(_ error: SSHClientError, _ failure: SOCKSFailure) {
        #expect(SOCKSFailure(error) == failure)
    }
}
