import SSHClient

/// ssh's own grammar: fields between colons; brackets hold a field literally, `\` takes the next character literally, and
/// a field with a `/` is the path of a unix socket.
extension ForwardSpec {
    /// NI_MAXHOST of resolv.h, which ssh holds to.
    private static let maximumHostLength = 1024
    /// `sun_path` without its final NUL.
    private static let maximumPathLength = 107

    private struct Field {
        var text: String
        var isPath: Bool
    }

    package init(_ kind: Kind, parsing text: String) throws(ForwardSpecError) {
        func refuse(_ problem: String) -> ForwardSpecError {
            ForwardSpecError(kind: kind, text: text, problem: problem)
        }
        if text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) {
            throw refuse("a control character")
        }
        let fields: [Field]
        switch Self.fields(of: text) {
        case .success(let found): fields = found
        case .failure(let problem): throw refuse(problem.text)
        }
        func port(_ field: Field, zero: Bool = true) throws(ForwardSpecError) -> UInt16 {
            guard !field.text.isEmpty, field.text.utf8.count <= 5,
                field.text.utf8.allSatisfy({ (48...57).contains($0) }),
                let port = UInt16(field.text), zero || port > 0
            else { throw refuse("'\(field.text)' is not a port") }
            return port
        }
        func host(_ field: Field) throws(ForwardSpecError) -> String {
            guard !field.text.isEmpty else { throw refuse("the host is empty") }
            return try name(field)
        }
        func name(_ field: Field) throws(ForwardSpecError) -> String {
            guard !field.text.hasPrefix("-") else { throw refuse("'\(field.text)' begins with '-'") }
            guard field.text.utf8.count < Self.maximumHostLength else { throw refuse("a name is too long") }
            guard !field.text.contains(where: \.isWhitespace) else { throw refuse("'\(field.text)' has a space") }
            return field.text
        }
        func path(_ field: Field) throws(ForwardSpecError) -> String {
            guard !field.text.hasPrefix("-") else { throw refuse("'\(field.text)' begins with '-'") }
            guard field.text.utf8.count <= Self.maximumPathLength else { throw refuse("a socket's path is too long") }
            return field.text
        }

        let listen: Listen
        var target = Target.socks
        switch (fields.count, fields.map(\.isPath)) {
        case (1, [true]):
            listen = .unix(path: try path(fields[0]))
        case (1, _):
            listen = .tcp(bind: nil, port: try port(fields[0]))
        case (2, [true, true]):
            listen = .unix(path: try path(fields[0]))
            target = .endpoint(.unix(path: try path(fields[1])))
        case (2, [false, true]):
            listen = .tcp(bind: nil, port: try port(fields[0]))
            target = .endpoint(.unix(path: try path(fields[1])))
        case (2, [false, false]):
            listen = .tcp(bind: try name(fields[0]), port: try port(fields[1]))
        case (3, [true, false, false]):
            listen = .unix(path: try path(fields[0]))
            target = .endpoint(.tcp(host: try host(fields[1]), port: try port(fields[2], zero: false)))
        case (3, [false, false, true]):
            listen = .tcp(bind: try name(fields[0]), port: try port(fields[1]))
            target = .endpoint(.unix(path: try path(fields[2])))
        case (3, [false, false, false]):
            listen = .tcp(bind: nil, port: try port(fields[0]))
            target = .endpoint(.tcp(host: try host(fields[1]), port: try port(fields[2], zero: false)))
        case (4, [false, false, false, false]):
            listen = .tcp(bind: try name(fields[0]), port: try port(fields[1]))
            target = .endpoint(.tcp(host: try host(fields[2]), port: try port(fields[3], zero: false)))
        case (0, _):
            throw refuse("nothing is given")
        default:
            throw refuse("these fields make no forward")
        }
        switch (kind, target) {
        case (.local, .socks): throw refuse("no target is given")
        case (.dynamic, .endpoint): throw refuse("a dynamic forward has no target")
        default: break
        }
        self.init(kind: kind, listen: listen, target: target, text: text)
    }

    private struct Problem: Error {
        var text: String
    }

    private static func fields(of text: String) -> Result<[Field], Problem> {
        var rest = Array(text.drop { $0 == " " })[...]
        var fields: [Field] = []
        while !rest.isEmpty {
            guard fields.count < 4 else { return .failure(Problem(text: "too many fields")) }
            var field = Field(text: "", isPath: false)
            if rest.first == "[" {
                guard let end = rest.firstIndex(of: "]") else { return .failure(Problem(text: "no ] for a [")) }
                field.text = String(rest[(rest.startIndex + 1)..<end])
                rest = rest[(end + 1)...]
                guard rest.isEmpty || rest.first == ":" else {
                    return .failure(Problem(text: "something follows a ]"))
                }
            } else {
                while let character = rest.first, character != ":" {
                    rest.removeFirst()
                    if character == "\\" {
                        guard let literal = rest.popFirst() else {
                            return .failure(Problem(text: "nothing follows the \\"))
                        }
                        field.text.append(literal)
                    } else {
                        field.text.append(character)
                    }
                }
            }
            field.isPath = field.text.contains("/")
            fields.append(field)
            if rest.first == ":" {
                rest.removeFirst()
                if rest.isEmpty { return .failure(Problem(text: "nothing follows the last colon")) }
            }
        }
        return .success(fields)
    }
}
