import Glibc

/// `config.yml`: settings for every session, and below `contexts` what differs in those of a name.
package struct ConfigFile: Hashable, Sendable {
    /// Far more than anybody writes by hand.
    static let maximumLength = 1 << 20

    package var base = ConfigLayer()
    package var contexts: [String: ConfigLayer] = [:]

    package init() {}

    /// Where it is; `nil`: there is no home directory.
    package static var path: String? {
        UserFiles.directory("XDG_CONFIG_HOME", ".config").map { $0 + "/telepresence/config.yml" }
    }

    /// The user's; empty where there is none.
    package static func load() throws(WorkstationError) -> ConfigFile {
        guard let path else { return ConfigFile() }
        guard let text = UserFiles.read(path, limit: maximumLength) else {
            if errno == ENOENT || errno == ENOTDIR { return ConfigFile() }
            throw .badInput("\(path): cannot read the configuration: \(SystemError.text())")
        }
        return try ConfigFile(parsing: text, file: path)
    }

    /// What is in force for the session of a name.
    package func settings(for name: String) -> ConfigLayer {
        (contexts[name] ?? ConfigLayer()).over(base).over(.defaults)
    }
}
