import ControlAPI
import NIOCore
import TrafficAgent

/// The names that remote forwards ask for, and the requests that agents look at.
extension Target {
    static let intercepts = [
        Target(
            name: "intercept-spec",
            seeds: {
                [
                    "hello", "deployment/hello.default?http-header=x-user%3D^alice$&protected&lease=60&holder=a%40b",
                    "a?udp",
                ]
                .map { Array($0.utf8) }
            },
            run: { bytes in
                guard let spec = try? InterceptSpec(parsing: String(decoding: bytes, as: UTF8.self)) else { return }
                // What was understood is asked for again in words that mean the same.
                precondition((try? InterceptSpec(parsing: spec.bindAddress)) == spec)
            }),
        Target(name: "http-router", seeds: { requests.map { Array($0.utf8) } }, run: route),
    ]

    private static let requests = [
        "GET / HTTP/1.1\r\nx-user: alice\r\n\r\n\u{1}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\u{1}HTTP/1.0 200\r\n\r\nx\u{2}",
        "GET / HTTP/1.1\r\nConnection: upgrade\r\n\r\n\u{1}HTTP/1.1 101 X\r\n\r\nframe\u{0}frame\u{3}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]

    /// Bytes of the client; after a byte of 1 those of the current route, after 0 the client's again; 2 ends the route, 3
    /// the client.
    private static let route: @Sendable ([UInt8]) -> Void = { bytes in
        var filter = InterceptFilter()
        filter.headers = [InterceptFilter.Header(name: "x-user", pattern: "^alice$")]
        guard let compiled = try? CompiledFilter(filter) else { return }
        var machine = RequestRouterMachine { compiled.matches($0) ? .intercept(0) : .app }
        var current = RequestRouterMachine.Route.app
        var isAnswer = false
        var (received, sent) = (0, 0)
        /// Whether the connection goes on.
        func perform(_ step: (inout RequestRouterMachine, inout [RequestRouterMachine.Effect]) -> Void) -> Bool {
            var effects: [RequestRouterMachine.Effect] = []
            step(&machine, &effects)
            for effect in effects {
                switch effect {
                case .send(let route, let bytes):
                    current = route
                    sent += bytes.readableBytes
                case .answer, .end: break
                case .close, .abort, .http2: return false
                }
            }
            return true
        }
        for part in bytes.split(omittingEmptySubsequences: false, whereSeparator: { $0 < 4 }) {
            let buffer = ByteBuffer(bytes: part)
            if isAnswer {
                guard perform({ $0.receive(buffer, from: current, &$1) }) else { return }
            } else {
                received += part.count
                guard perform({ $0.receive(buffer, &$1) }) else { return }
                // No byte is made up.
                precondition(sent <= received)
            }
            switch part.endIndex < bytes.endIndex ? bytes[part.endIndex] : 3 {
            case 0: isAnswer = false
            case 1: isAnswer = true
            case 2: guard perform({ $0.ended(current, &$1) }) else { return }
            default: guard perform({ $0.end(&$1) }) else { return }
            }
        }
    }
}
