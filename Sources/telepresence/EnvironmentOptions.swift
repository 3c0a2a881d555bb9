import ArgumentParser
import ControlAPI
import Glibc
import Workstation

/// Where a container's variables are written.
struct EnvironmentOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("Write the container's variables to a file; - is the standard output.", valueName: "file"))
    var envFile: String?

    @Option(
        name: .long,
        help: ArgumentHelp("How: \(syntaxes).", valueName: "syntax"))
    var envSyntax: String?

    @Option(name: .long, help: ArgumentHelp("Write them to a file as JSON, too.", valueName: "file"))
    var envJson: String?

    static let syntaxes = EnvironmentSyntax.allCases.map(\.rawValue).joined(separator: ", ")

    func validate() throws {
        _ = try Self.syntax(envSyntax)
        if envSyntax != nil, envFile == nil { throw ValidationError("--env-syntax is for --env-file") }
    }

    static func syntax(_ text: String?) throws -> EnvironmentSyntax? {
        guard let text else { return nil }
        guard let syntax = EnvironmentSyntax(rawValue: text) else {
            throw ValidationError(
                "--env-syntax '\(text.shown)': expected one of \(syntaxes)")
        }
        return syntax
    }

    var isAsked: Bool { envFile != nil || envJson != nil }

    func write(_ variables: [String: String]) throws {
        if let envFile {
            try Self.write(variables, Self.syntax(envSyntax) ?? .docker, to: envFile)
        }
        if let envJson { try Self.write(variables, .json, to: envJson) }
    }

    /// Variables may be secrets: the file is its owner's alone.
    private static func write(_ variables: [String: String], _ syntax: EnvironmentSyntax, to path: String) throws {
        let (text, left) = syntax.text(of: variables)
        warn(left, syntax)
        guard path != "-" else { return Exit.write(text, to: STDOUT_FILENO) }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("\(path.shown): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure("\(path.shown): \(String(cString: strerror(errno)))") }
            rest = rest.dropFirst(count)
        }
    }

    static func warn(_ left: [String], _ syntax: EnvironmentSyntax) {
        guard !left.isEmpty else { return }
        Exit.write(
            "telepresence: not written, as the format \(syntax.rawValue) cannot hold them: "
                + "\(left.joined(separator: ", ").shown)\n", to: STDERR_FILENO)
    }
}
