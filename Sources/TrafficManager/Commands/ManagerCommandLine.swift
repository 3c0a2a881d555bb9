/// A command with its arguments, as it was asked for.
struct ManagerCommandLine: Hashable {
    var command: ManagerCommand
    var isJSON = false
    /// Of `services`.
    var namespace: String?
    /// Of `revoke`.
    var intercept: String?

    enum Problem: Error, Hashable {
        /// There is no such command.
        case unknown(String)
        /// There is, and its arguments are wrong: what and why.
        case usage(ManagerCommand, String)
    }

    /// Longer ones are refused unread; the longest that means anything is a tenth of it.
    static let maximumLength = 1024

    /// Words are separated by blanks. There is no shell, so nothing is quoted and nothing expanded.
    init(parsing text: String) throws(Problem) {
        guard text.utf8.count <= Self.maximumLength else { throw .unknown(String(text.prefix(40)) + "…") }
        var words = text.split { $0 == " " || $0 == "\t" || $0 == "\n" }.map(String.init)[...]
        let first = words.popFirst() ?? ""
        guard let command = ManagerCommand(rawValue: first == "--help" || first == "-h" ? "help" : first) else {
            throw .unknown(first)
        }
        self.command = command
        while let word = words.popFirst() {
            switch word {
            case "--json":
                isJSON = true
            case "--help", "-h":
                self.command = .help
            case "--namespace" where command == .services, "-n" where command == .services:
                guard let value = words.popFirst(), !value.hasPrefix("-") else {
                    throw .usage(command, "\(word) needs the name of a namespace")
                }
                namespace = value
            case let id where command == .revoke && intercept == nil && !id.hasPrefix("-"):
                intercept = id
            default:
                throw .usage(command, "unexpected \(word.shortened)")
            }
        }
        if command == .revoke, intercept == nil, self.command == .revoke {
            throw .usage(command, "it needs the ID of an intercept, as list shows it")
        }
    }
}
