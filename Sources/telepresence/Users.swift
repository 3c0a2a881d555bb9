import ArgumentParser
import ControlAPI
import Glibc
import SSHProtocol
import Workstation

struct Users: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say who may log in to the manager of a cluster.",
        discussion: """
            A user is an entry of the Secret traffic-manager-authorized-keys with lines as in authorized_keys; a change \
            counts at once.

            EXAMPLES
              telepresence users add alice alice.pub
              ssh-keygen -y -f key | telepresence users add ci -
              telepresence users list
              telepresence users remove alice
            """,
        subcommands: [Add.self, Remove.self, Show.self])

    static func check(_ name: String) throws {
        guard UserKeys.isName(name) else {
            throw ValidationError("'\(name.shown)': expected a name of letters, digits, '-', '_' and '.'")
        }
    }

    struct Add: ConcurrentCommand {
        static let configuration = CommandConfiguration(abstract: "Let a key in.")

        @Argument(help: "The user.") var user: String
        @Argument(help: "A file with a public key, options before it as in authorized_keys; - is standard input.")
        var file: String
        @OptionGroup var options: AdministrationOptions

        func validate() throws { try Users.check(user) }

        func run() async throws {
            let path = file == "-" ? "/dev/stdin" : Path.expand(file)
            guard let text = UserFiles.read(path, limit: Self.maximumSize) else {
                throw ValidationError("\(file.shown): cannot be read; expected a public key, as in id_ed25519.pub")
            }
            let keys = AuthorizedKeys(parsing: text, file: file)
            if let problem = keys.diagnostics.first { throw ValidationError(problem) }
            let lines = text.split(whereSeparator: \.isNewline).map(String.init)
                .filter { !$0.hasPrefix("#") && !$0.allSatisfy(\.isWhitespace) }
            guard keys.entries.count == 1, lines.count == 1, let key = keys.entries.first?.key else {
                throw ValidationError("\(file.shown): expected one public key, as in id_ed25519.pub")
            }
            let isNew = try await options.run("Adding a key") {
                try await $0.users.add(lines[0], key: key, user: user)
            }
            let outcome = isNew ? "may log in" : "is there already"
            Exit.write("\(key.fingerprint) of \(user) \(outcome)\n", to: STDOUT_FILENO)
        }

        /// A certificate of RSA-16384 has under 16 KiB.
        private static let maximumSize = 65_536
    }

    struct Remove: ConcurrentCommand {
        static let configuration = CommandConfiguration(abstract: "Let a user's keys in no more.")

        @Argument(help: "The user.") var user: String
        @OptionGroup var options: AdministrationOptions

        func validate() throws { try Users.check(user) }

        func run() async throws {
            let found = try await options.run("Removing a user") { try await $0.users.remove(user) }
            guard found else { throw Failure("there is no user \(user)") }
            Exit.write("\(user) may not log in any more\n", to: STDOUT_FILENO)
        }
    }

    struct Show: ConcurrentCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "Tell who may log in.")

        private struct User: Codable, Hashable {
            var name: String
            var keys: [String]
        }

        @OptionGroup var options: AdministrationOptions
        @OptionGroup var format: OutputOptions

        func run() async throws {
            let all = try await options.run("Asking the cluster") { try await $0.users.all() }
            let users = all.sorted { $0.key < $1.key }.map { name, lines in
                User(name: name, keys: AuthorizedKeys(parsing: lines, file: name).entries.map(\.key.fingerprint))
            }
            if format.output == .json { return try format.print(ItemList(users)) }
            let width = users.map(\.name.count).max() ?? 0
            for user in users {
                let name = user.name + String(repeating: " ", count: width - user.name.count)
                for key in user.keys { Exit.write("\(name)  \(key)\n", to: STDOUT_FILENO) }
            }
        }
    }
}
