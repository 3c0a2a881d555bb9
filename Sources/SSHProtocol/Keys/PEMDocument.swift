/// The first document of a PEM file (RFC 7468).
struct PEMDocument {
    var label: String
    var bytes: [UInt8]

    init(label: String, bytes: [UInt8]) {
        self.label = label
        self.bytes = bytes
    }

    init(_ text: String) throws(KeyError) {
        let notPEM = KeyError("not a private key, expected -----BEGIN OPENSSH PRIVATE KEY-----")
        let lines = text.utf8.split(whereSeparator: { $0 == 0x0a || $0 == 0x0d })
            .map { String(Substring($0)) }
        let begin = "-----BEGIN "
        let dashes = "-----"
        guard let start = lines.firstIndex(where: { $0.hasPrefix(begin) && $0.hasSuffix(dashes) }),
            lines[start].utf8.count > begin.utf8.count + dashes.utf8.count
        else { throw notPEM }
        label = String(lines[start].dropFirst(begin.count).dropLast(dashes.count))
        let end = "-----END \(label)-----"
        guard let stop = lines[start...].firstIndex(of: end) else {
            throw KeyError("private key is cut short, expected -----END \(label.printable)-----")
        }
        let body = lines[(start + 1)..<stop]
        if body.contains(where: { $0.hasPrefix("Proc-Type:") }) {
            throw KeyError("private key is encrypted, expected one without a passphrase (ssh-keygen -p removes it)")
        }
        guard let bytes = Base64.decode(body.joined().utf8.filter { $0 != 0x20 && $0 != 0x09 }) else {
            throw KeyError("private key is not valid base64")
        }
        self.bytes = bytes
    }

    /// With lines of 70 characters, as ssh-keygen writes them.
    var text: String {
        var out = "-----BEGIN \(label)-----\n"
        var rest = Base64.encode(bytes)[...]
        while !rest.isEmpty {
            out += rest.prefix(70) + "\n"
            rest = rest.dropFirst(70)
        }
        return out + "-----END \(label)-----\n"
    }
}
