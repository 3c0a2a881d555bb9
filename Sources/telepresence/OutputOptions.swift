import ArgumentParser
import ControlAPI
import Glibc

/// How facts are printed.
struct OutputOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @Option(name: .long, help: "For people, or for programs.")
    var output = Format.text

    /// One JSON object on one line.
    func print(_ value: some Encodable) throws {
        Exit.write(try JSON.encode(value) + "\n", to: STDOUT_FILENO)
    }
}
