import Forwarding
import NIOCore
import SSHClient

/// What `forward` prints: listeners on the standard output, everything else on the standard error.
enum ForwardOutput {
    static func text(_ forward: BoundForward) -> String {
        "Forwarding \(forward.bound) to \(forward.spec.targetDescription)"
    }

    /// One JSON object on one line.
    static func json(_ forward: BoundForward) -> String {
        let bind: String? =
            switch forward.spec.listen {
            case .tcp(let bind, _): bind
            case .unix(let path): path
            }
        let fields = [
            ("kind", string(forward.spec.kind.rawValue)),
            ("bind", bind.map(string) ?? "null"),
            ("boundAddress", string(forward.boundAddress)),
            ("boundPort", forward.boundPort.map(String.init) ?? "null"),
            ("target", string(forward.spec.targetDescription)),
        ]
        return "{" + fields.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
    }

    static func event(_ event: ForwardingEvent) -> String? {
        switch event {
        case .connected:
            nil
        case .disconnected(let error, let delay):
            "\(error.text); trying again in \(milliseconds(delay.nanoseconds / 1_000_000))"
        case .failed(let error):
            error.text
        case .connectionFailed(let spec, let target, let reason):
            "\(spec.flag) \(spec.text): \(target): \(reason)"
        case .remoteForwardRestored(let spec, let port):
            "\(spec.flag) \(spec.text): listening again on port \(port)"
        case .remoteForwardLost(let spec, let error):
            "\(spec.flag) \(spec.text): not listening any more: \(error.text)"
        }
    }

    private static func milliseconds(_ count: Int64) -> String {
        count < 1000 ? "\(count) ms" : "\(count / 1000).\(count % 1000 / 100) s"
    }

    private static func string(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\u{0}"..."\u{1f}":
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
