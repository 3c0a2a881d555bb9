/// How variables are written to a file, for the program that is to read it.
package enum EnvironmentSyntax: String, CaseIterable, Sendable {
    /// `docker run --env-file`, podman and kubectl: everything behind the sign, as it is.
    case docker
    /// `env_file` of a compose file.
    case compose
    /// POSIX sh, bash, zsh.
    case sh
    case shExport = "sh:export"
    case csh
    case cshExport = "csh:export"
    case fish
    case fishExport = "fish:export"
    /// PowerShell.
    case ps
    case psExport = "ps:export"
    /// The command interpreter of Windows.
    case cmd
    case json

    /// The text, sorted by name, and the names of what the format cannot hold.
    package func text(of variables: [String: String]) -> (text: String, left: [String]) {
        if self == .json { return (((try? JSON.encodePretty(variables)) ?? "{}") + "\n", []) }
        var text = ""
        var left: [String] = []
        for (name, value) in variables.sorted(by: { $0.key < $1.key }) {
            guard holds(name), let line = line(name, value) else {
                left.append(name)
                continue
            }
            text += line + "\n"
        }
        return (text, left)
    }

    private func line(_ name: String, _ value: String) -> String? {
        let isOneLine = !value.utf8.contains { $0 == 0x0a || $0 == 0x0d }
        return switch self {
        case .docker: isOneLine ? "\(name)=\(value)" : nil
        case .compose: "\(name)=\(composed(value))"
        case .sh: "\(name)=\(shellQuoted(value))"
        case .shExport: "export \(name)=\(shellQuoted(value))"
        case .csh: "set \(name)=\(cshQuoted(value))"
        case .cshExport: "setenv \(name) \(cshQuoted(value))"
        case .fish: "set \(name) \(fishQuoted(value))"
        case .fishExport: "set -x \(name) \(fishQuoted(value))"
        case .ps: "$\(name)='\(replacing(value, ["'": "''"]))'"
        case .psExport: "$Env:\(name)='\(replacing(value, ["'": "''"]))'"
        case .cmd: isOneLine && !value.contains("\"") ? "set \"\(name)=\(replacing(value, ["%": "%%"]))\"" : nil
        case .json: nil
        }
    }

    /// Kubernetes allows dots and dashes, and digits first; shells do not (POSIX, XBD 8.1).
    private func holds(_ name: String) -> Bool {
        switch self {
        case .docker, .compose, .json, .cmd:
            return !name.isEmpty && !name.utf8.contains { $0 == UInt8(ascii: "=") || $0 <= 0x20 }
        default:
            guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
            return name.utf8.allSatisfy {
                switch $0 {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"): true
                default: false
                }
            }
        }
    }

    private func replacing(_ value: String, _ replacements: [Unicode.Scalar: String]) -> String {
        var text = ""
        for scalar in value.unicodeScalars {
            if let replacement = replacements[scalar] {
                text += replacement
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    private func shellQuoted(_ value: String) -> String { "'\(replacing(value, ["'": "'\\''"]))'" }

    /// History is looked for even in quotes, and a line break ends them.
    private func cshQuoted(_ value: String) -> String {
        "'\(replacing(value, ["'": "'\\''", "!": "\\!", "\n": "\\\n"]))'"
    }

    private func fishQuoted(_ value: String) -> String { "'\(replacing(value, ["\\": "\\\\", "'": "\\'"]))'" }

    /// Single quotes keep everything; what has those, or a backslash before the last, goes into double ones.
    private func composed(_ value: String) -> String {
        if !value.utf8.contains(UInt8(ascii: "'")), !value.hasSuffix("\\") { return "'\(value)'" }
        return "\"\(replacing(value, ["\\": "\\\\", "\"": "\\\"", "$": "\\$", "\n": "\\n", "\r": "\\r"]))\""
    }
}
