import ArgumentParser

struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the version.")

    /// The version of the program, and that of the manager's API it speaks.
    static let text = "Client v0.5.0 (api v3)"

    func run() {
        print(Self.text)
    }
}
