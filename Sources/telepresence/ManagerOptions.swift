import ArgumentParser
import Glibc
import SSHClient
import SSHProtocol
import Workstation

/// Which manager, as whom, and which host key is its own.
struct ManagerOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The traffic manager's address; port 8022 unless another is given.", valueName: "host[:port]"))
    var manager: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Your private key, Ed25519 or ECDSA, readable by you alone.", valueName: "file"))
    var identity = "~/.ssh/id_telepresence"

    @Option(
        name: .long,
        help: ArgumentHelp("Where the manager's host key is pinned, as ssh does it.", valueName: "file"))
    var knownHosts: String?

    @Option(
        name: .long,
        help: ArgumentHelp("The manager's host key by its fingerprint; may be repeated.", valueName: "SHA256:…"))
    var hostKey: [String] = []

    @Option(name: .long, help: ArgumentHelp("The name to log in with; the key decides.", valueName: "name"))
    var user: String?

    mutating func validate() throws {
        if knownHosts != nil, !hostKey.isEmpty {
            throw ValidationError("--known-hosts and --host-key exclude each other")
        }
        for fingerprint in hostKey where !HostKeyPin.isFingerprint(fingerprint) {
            throw ValidationError(
                "--host-key \(fingerprint.shown): expected SHA256: and 43 characters of base64, as ssh-keygen -l prints it"
            )
        }
        _ = try Address(manager: manager)
        if let user { try Self.check(user, "--user") }
    }

    func configuration() throws -> SSHClientConfiguration {
        let address = try Address(manager: manager)
        let pin: HostKeyPin
        if hostKey.isEmpty {
            let file = Path.expand(knownHosts ?? "~/.ssh/known_hosts")
            guard let text = Path.read(file, limit: KnownHosts.maximumFileLength) else {
                throw BadInput(
                    "\(file): cannot read the known hosts: \(String(cString: strerror(errno))); "
                        + "expected a file for --known-hosts, or --host-key SHA256:…")
            }
            pin = HostKeyPin(
                knownHosts: KnownHosts(parsing: text, file: file), file: file, host: address.host,
                port: UInt16(address.port))
        } else {
            pin = HostKeyPin(fingerprints: hostKey)
        }
        return SSHClientConfiguration(
            host: address.host, port: address.port, user: user ?? Self.currentUser,
            identity: try ClientIdentity(path: Path.expand(identity)), hostKeys: pin)
    }

    static var currentUser: String {
        if let entry = getpwuid(getuid()) { return String(cString: entry.pointee.pw_name) }
        return Environment.value("USER") ?? "telepresence"
    }

    /// A name that is passed on must not look like an option, or hold what is not a character.
    static func check(_ text: String, _ option: String) throws {
        guard !text.isEmpty, !text.hasPrefix("-"), text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
            throw ValidationError(
                "\(option) '\(text.shown)': expected a name without spaces that does not begin with '-'")
        }
    }

    /// `host`, `host:port`, `[v6]:port` or a bare IPv6 address.
    struct Address {
        var host: String
        var port: Int

        init(manager text: String) throws {
            do throws(ManagerAddress.Problem) {
                let address = try ManagerAddress(parsing: text)
                host = address.host
                port = Int(address.port)
            } catch {
                throw ValidationError("--manager '\(text.shown)': \(error.text)")
            }
        }
    }
}
