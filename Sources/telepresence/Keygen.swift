import ArgumentParser
import Glibc
import SSHProtocol

struct Keygen: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make an Ed25519 key for a manager.",
        discussion: """
            Writes the private key, readable by you alone, and beside it the public one with .pub. Existing files are
            never overwritten. Add the public key it prints to the manager's authorized_keys.

            EXAMPLES
              telepresence keygen
              telepresence keygen -f ./ci_key -C 'continuous integration'
            """)

    @Option(name: .customShort("f"), help: ArgumentHelp("Where to write the private key.", valueName: "file"))
    var file = "~/.ssh/id_telepresence"

    @Option(
        name: .customShort("C"),
        help: ArgumentHelp("A comment to know the key by; user@host if not given.", valueName: "comment"))
    var comment: String?

    func validate() throws {
        if let comment, comment.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) {
            throw ValidationError("-C: expected a comment of one line without control characters")
        }
    }

    func run() throws {
        let path = Path.expand(file)
        let comment = comment ?? "\(ManagerOptions.currentUser)@\(Self.hostName)"
        let key = PrivateKey.generateEd25519(comment: comment)
        let line = key.publicKey.openSSHLine + (comment.isEmpty ? "" : " " + comment)
        // Neither file may exist: a key whose public half belongs to another is worse than none.
        guard access(path + ".pub", F_OK) != 0 else {
            throw Failure("\(path).pub exists already; choose another name with -f")
        }
        try Self.create(path, key.openSSH, mode: 0o600)
        try Self.create(path + ".pub", line + "\n", mode: 0o644)
        print(line)
        print(key.publicKey.fingerprint)
        Exit.write("Wrote \(path) and \(path).pub\n", to: STDERR_FILENO)
    }

    private static var hostName: String {
        var name = utsname()
        guard uname(&name) == 0 else { return "localhost" }
        return withUnsafeBytes(of: &name.nodename) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    private static func create(_ path: String, _ text: String, mode: mode_t) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else {
            throw errno == EEXIST
                ? Failure("\(path) exists already; choose another name with -f")
                : Failure("\(path): cannot write the key: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let reason = String(cString: strerror(errno))
                unlink(path)
                throw Failure("\(path): cannot write the key: \(reason)")
            }
            bytes = bytes.dropFirst(count)
        }
    }
}
