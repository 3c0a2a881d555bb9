/// A forward that cannot be read: which, why, and what was expected, in one line.
package struct ForwardSpecError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    init(kind: ForwardSpec.Kind, text: String, problem: String) {
        let (flag, expected) =
            switch kind {
            case .local: ("-L", "[bind_address:]port:host:hostport, a socket's path on either side")
            case .remote: ("-R", "[bind_address:]port[:host:hostport], a socket's path on either side")
            case .dynamic: ("-D", "[bind_address:]port")
            }
        let shown = String(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? "?" : Character($0) })
        description = "\(flag) \(shown): \(problem); expected \(expected)"
    }
}
