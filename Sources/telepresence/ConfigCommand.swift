import ArgumentParser
import ControlAPI
import Workstation

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Look at the configuration.",
        discussion: """
            It is read from ~/.config/telepresence/config.yml (or below XDG_CONFIG_HOME). All of it may be left out:

              manager: cluster.example:8022
              identity: ~/.ssh/id_telepresence
              known-hosts: ~/.ssh/known_hosts     # or host-key: SHA256:…
              user: dev
              namespace: default                  # where short names are looked for
              log-level: info
              dns:
                include-suffixes: [corp.example]  # the cluster's, besides its own
                exclude-suffixes: [example.com]   # never the cluster's
                mappings:
                  - {name: db, alias-for: postgres.prod}
              routes:
                subnets: [10.42.0.0/16]           # instead of what the manager tells
                also-proxy: [192.0.2.0/24]
                never-proxy: [10.42.9.0/24]
              timeouts: {connect: 20s, keepalive: 10s, probe: 5s}
              contexts:                           # what differs for --name staging
                staging: {manager: staging.example}

            EXAMPLES
              telepresence config view
              telepresence config view --name staging --output json
            """,
        subcommands: [View.self])

    struct View: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print what is in force.",
            discussion: """
                The file's settings over the defaults. An unknown key or a wrong value is an error that names its line.

                EXAMPLES
                  telepresence config view
                  telepresence config view --name staging --output json
                """)

        @OptionGroup var session: SessionOptions
        @OptionGroup var format: OutputOptions

        func run() throws {
            let settings = try ConfigFile.load().settings(for: session.name)
            if format.output == .json { return try format.print(settings) }
            print(try settings.yaml, terminator: "")
        }
    }
}
