/// The keys that may log in, and what each may do: a file in the format of sshd(8), AUTHORIZED_KEYS FILE FORMAT.
///
/// A line that cannot be read in full permits nothing.
package struct AuthorizedKeys: Sendable {
    package struct Entry: Sendable {
        package var line: Int
        package var key: PublicKey
        package var comment: String
        /// The key signs certificates and does not log in itself.
        package var isAuthority: Bool { options.isAuthority }
        package var permissions: KeyPermissions { options.permissions }
        var options: KeyOptions
    }

    package private(set) var entries: [Entry] = []
    /// `file:line: what is wrong, what was expected`, one for each line that was left out.
    package private(set) var diagnostics: [String] = []

    /// Indexes of entries by key, in the order of the file.
    private var entriesByKey: [PublicKey: [Int]] = [:]

    /// As in sshd, which reads no longer lines.
    package static let maximumLineLength = 8 * 1024
    /// Some ten thousand keys; a larger file is a mistake, and reading it on each change would hold up the server.
    package static let maximumFileLength = 4 * 1024 * 1024

    /// Reads a file. Lines that cannot be read are left out and told of in `diagnostics`.
    package init(parsing text: String, file: String) {
        guard text.utf8.count <= Self.maximumFileLength else {
            diagnostics = ["\(file):1: file is too long, expected at most \(Self.maximumFileLength) bytes"]
            return
        }
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            do throws(KeyError) {
                guard let entry = try Self.parse(line, number: index + 1) else { continue }
                entriesByKey[entry.key, default: []].append(entries.count)
                entries.append(entry)
            } catch {
                diagnostics.append("\(file):\(index + 1): \(error.text)")
            }
        }
    }

    /// `nil` for an empty line or a comment.
    private static func parse(_ line: Substring.UTF8View.SubSequence, number: Int) throws(KeyError) -> Entry? {
        var bytes = Array(line)[...]
        if bytes.last == UInt8(ascii: "\r") { bytes = bytes.dropLast() }
        bytes = bytes.drop(while: \.isBlank)
        guard let first = bytes.first, first != UInt8(ascii: "#") else { return nil }
        guard bytes.count <= maximumLineLength else {
            throw KeyError("line is too long, expected at most \(maximumLineLength) bytes")
        }
        guard !bytes.contains(0) else { throw KeyError("line has a zero byte") }
        // A key at the start of the line goes before options of that name.
        var options: ArraySlice<UInt8> = []
        if !isKeyType(bytes.prefix { !$0.isBlank }) {
            options = try prefixOfOptions(bytes)
            bytes = bytes.dropFirst(options.count).drop(while: \.isBlank)
        }
        let type = bytes.prefix { !$0.isBlank }
        bytes = bytes.dropFirst(type.count).drop(while: \.isBlank)
        let base64 = bytes.prefix { !$0.isBlank }
        let comment = bytes.dropFirst(base64.count).drop(while: \.isBlank)
        guard isKeyType(type), !base64.isEmpty else {
            // Every blob starts with the length of a short name, whose base64 is AAAA.
            let start = Array("AAAA".utf8)
            for (name, blob) in [(options, type), (type, base64)] where blob.starts(with: start) {
                throw KeyError("key type \(String(decoding: name, as: UTF8.self).printable) is not supported")
            }
            throw KeyError("no key found, expected [options] keytype base64 [comment], such as ssh-ed25519 AAAA…")
        }
        let key = try PublicKey(typeName: String(decoding: type, as: UTF8.self), base64: base64)
        guard key.certificate == nil else {
            throw KeyError("a certificate, expected a key, or cert-authority and the key that signs certificates")
        }
        let origin = "line \(number)"
        let parsed = options.isEmpty ? KeyOptions(origin: origin) : try KeyOptions(parsing: options, origin: origin)
        return Entry(
            line: number, key: key, comment: String(decoding: comment, as: UTF8.self), options: parsed)
    }

    private static func isKeyType(_ word: ArraySlice<UInt8>) -> Bool {
        let name = String(decoding: word, as: UTF8.self)
        return KeyType(rawValue: name) != nil || KeyType(certificateName: name) != nil
    }

    /// Everything before the first blank that is not quoted (authfile.c, sshkey_advance_past_options).
    private static func prefixOfOptions(_ line: ArraySlice<UInt8>) throws(KeyError) -> ArraySlice<UInt8> {
        var isQuoted = false
        var isEscaped = false
        var end = line.startIndex
        for byte in line {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\"), end + 1 < line.endIndex, line[end + 1] == UInt8(ascii: "\"") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if byte.isBlank, !isQuoted {
                break
            }
            end += 1
        }
        guard !isQuoted else { throw KeyError("options have no closing quote") }
        return line[..<end]
    }

    func candidates(for key: PublicKey) -> [Entry] {
        (entriesByKey[key] ?? []).map { entries[$0] }
    }
}

extension UInt8 {
    var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }
}
