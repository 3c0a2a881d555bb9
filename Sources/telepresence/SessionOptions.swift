import ArgumentParser
import Workstation

/// Which session.
struct SessionOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The session, where there are several; also the context in the configuration.", valueName: "name"))
    var name = DaemonPaths.defaultName

    func validate() throws {
        guard DaemonPaths.isName(name) else {
            throw ValidationError(
                "--name '\(name.shown)': expected letters, digits, '-', '_' and '.', at most 32 of them")
        }
    }

    func client() throws -> DaemonClient { try DaemonClient(name: name) }
}
