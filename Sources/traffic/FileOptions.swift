import ArgumentParser

struct FileOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Services and EndpointSlices or Endpoints, in YAML or JSON.", valueName: "file"))
    var services: String

    @Option(help: ArgumentHelp("Who may log in, and to what: as in sshd(8).", valueName: "file"))
    var authorizedKeys: String

    @Option(help: ArgumentHelp("A private key of the server; best first. Repeatable.", valueName: "file"))
    var hostKey: [String]
}
