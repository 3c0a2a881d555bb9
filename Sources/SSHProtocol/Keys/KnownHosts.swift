import Crypto

/// The host keys a client has seen, or was given: a file in the format of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
package struct KnownHosts: Sendable {
    package enum Lookup: Hashable, Sendable {
        /// The key is the host's.
        case match
        /// Nothing is known of the host.
        case unknown
        /// The host is known by other keys alone; the first of them is on this line.
        case changed(line: Int)
        /// The key must not be trusted for this host any more, says this line.
        case revoked(line: Int)
    }

    private enum Marker {
        case none
        case revoked
        /// The key signs host certificates, which this client does not take.
        case authority
    }

    private enum Hosts {
        /// `|1|salt|hash`: HMAC-SHA1 of the name.
        case hashed(salt: [UInt8], hash: [UInt8])
        case patterns(String)
    }

    private struct Entry {
        var line: Int
        var marker: Marker
        var hosts: Hosts
        var key: PublicKey
    }

    private var entries: [Entry] = []
    /// `file:line: what is wrong, what was expected`, one for each line that was left out.
    package private(set) var diagnostics: [String] = []

    package static let maximumFileLength = 16 * 1024 * 1024
    static let standardPort: UInt16 = 22

    package init(parsing text: String, file: String) {
        guard text.utf8.count <= Self.maximumFileLength else {
            diagnostics = ["\(file):1: file is too long, expected at most \(Self.maximumFileLength) bytes"]
            return
        }
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            do throws(KeyError) {
                if let entry = try Self.parse(line, number: index + 1) { entries.append(entry) }
            } catch {
                diagnostics.append("\(file):\(index + 1): \(error.text)")
            }
        }
    }

    private static func parse(_ line: Substring.UTF8View.SubSequence, number: Int) throws(KeyError) -> Entry? {
        var fields = line.split(whereSeparator: { $0.isBlank || $0 == UInt8(ascii: "\r") })[...]
        guard let first = fields.first, first.first != UInt8(ascii: "#") else { return nil }
        var marker = Marker.none
        if first.first == UInt8(ascii: "@") {
            switch String(Substring(first)) {
            case "@revoked": marker = .revoked
            case "@cert-authority": marker = .authority
            default:
                throw KeyError(
                    "unknown marker \(String(Substring(first)).printable), expected @revoked or @cert-authority")
            }
            fields = fields.dropFirst()
        }
        let words = Array(fields.prefix(3))
        guard words.count == 3 else { throw KeyError("line is cut short, expected hosts keytype base64 [comment]") }
        return Entry(
            line: number, marker: marker, hosts: try hosts(String(Substring(words[0]))),
            key: try PublicKey(typeName: String(Substring(words[1])), base64: words[2]))
    }

    private static func hosts(_ text: String) throws(KeyError) -> Hosts {
        guard text.utf8.first == UInt8(ascii: "|") else { return .patterns(text) }
        let parts = text.utf8.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false)
        guard parts.count == 4, parts[1].elementsEqual("1".utf8), let salt = Base64.decode(parts[2]),
            let hash = Base64.decode(parts[3]), salt.count == 20, hash.count == 20
        else { throw KeyError("hashed host is malformed, expected |1|salt|hash") }
        return .hashed(salt: salt, hash: hash)
    }

    /// How a host's key stands to what is known of the host.
    package func lookup(host: String, port: UInt16, key: PublicKey) -> Lookup {
        let name = Self.name(host: host, port: port)
        var firstOther: Int?
        var isMatch = false
        for entry in entries where Self.matches(entry.hosts, name) {
            switch entry.marker {
            case .revoked:
                if entry.key == key { return .revoked(line: entry.line) }
            case .authority:
                continue
            case .none:
                if entry.key == key { isMatch = true } else { firstOther = firstOther ?? entry.line }
            }
        }
        if isMatch { return .match }
        return firstOther.map { .changed(line: $0) } ?? .unknown
    }

    /// The types of the keys a host is known by, in the order of the file: what a client should ask for first.
    package func keyTypes(host: String, port: UInt16) -> [String] {
        let name = Self.name(host: host, port: port)
        var types: [String] = []
        for entry in entries where entry.marker == .none && Self.matches(entry.hosts, name) {
            if !types.contains(entry.key.algorithmName) { types.append(entry.key.algorithmName) }
        }
        return types
    }

    /// The line to append for a host's key, without a line break.
    package static func line(host: String, port: UInt16, key: PublicKey) -> String {
        name(host: host, port: port) + " " + key.openSSHLine
    }

    /// `host`, or `[host]:port` where the port is not 22; in lower case.
    private static func name(host: String, port: UInt16) -> String {
        let host = String(decoding: Array(host.utf8).lowercased, as: UTF8.self)
        return port == standardPort ? host : "[\(host)]:\(port)"
    }

    private static func matches(_ hosts: Hosts, _ name: String) -> Bool {
        switch hosts {
        case .hashed(let salt, let hash):
            let code = HMAC<Insecure.SHA1>.authenticationCode(for: Array(name.utf8), using: SymmetricKey(data: salt))
            return code.elementsEqual(hash)
        case .patterns(let list):
            return Pattern.matchesList(name, list) == .matched
        }
    }
}
