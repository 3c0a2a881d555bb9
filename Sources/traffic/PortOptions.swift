import ArgumentParser

struct PortOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where SSH clients connect; port 0 takes a free one. Repeatable. (default: 0.0.0.0:8022)",
            valueName: "address:port"),
        transform: { try ListenAddress($0, defaultPort: 8022) })
    var sshListen: [ListenAddress] = []

    @Option(
        help: ArgumentHelp(
            "Where health and metrics are answered; the rest of the API is reached through SSH.",
            valueName: "address:port"),
        transform: { try ListenAddress($0, defaultPort: 8081) })
    var apiListen = ListenAddress(host: "0.0.0.0", port: 8081)
}
