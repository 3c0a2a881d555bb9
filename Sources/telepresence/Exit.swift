import ArgumentParser
import Forwarding
import Glibc
import SSHClient
import Workstation

/// How the program ends: one line on the standard error, and a status of its own for each kind of failure.
enum Exit {
    /// What ArgumentParser calls a validation failure (EX_USAGE, 64) is 2 here.
    private static let badInput: Int32 = 2

    static func with(_ error: any Error, of command: any ParsableCommand.Type) -> Never {
        switch error {
        case let error as SSHClientError:
            fail(error.text, error.exitCode)
        case let error as ForwardSetupError:
            fail(error.description, error.exitCode)
        case let error as WorkstationError:
            fail(error.text, error.exitCode)
        case let error as BadInput:
            fail(error.description, badInput)
        case let error as Failure:
            fail(error.description, 1)
        default:
            let code = command.exitCode(for: error)
            guard code.rawValue == ExitCode.validationFailure.rawValue else { command.exit(withError: error) }
            write(command.fullMessage(for: error) + "\n", to: STDERR_FILENO)
            exit(badInput)
        }
    }

    static func fail(_ text: String, _ code: Int32) -> Never {
        write("telepresence: \(text)\n", to: STDERR_FILENO)
        exit(code)
    }

    /// Writes all of a text, whatever the descriptor takes at a time.
    static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

/// An argument or a file that cannot be used: exit status 2.
struct BadInput: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Something that went wrong otherwise: exit status 1.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
