/// What a `tcpip-forward` for a workload asks for (RFC 4254 §7.1): its bind address is
/// `[KIND/]NAME[.NAMESPACE][?OPTION[&OPTION…]]`, so that stock `ssh -R` can ask for all of it.
///
/// Options, with percent-encoding where a value has `&`, `=`, `:` or `%`: `http-header=NAME=REGEX` (repeatable),
/// `http-path-prefix=`, `http-path-equal=`, `http-path-regex=`, `http-method=` (repeatable), `wiretap`, `protected`,
/// `probes`, `udp`, `replace`, `inject-redirect`, `container=NAME`, `lease=SECONDS`, `holder=TEXT`.
package struct InterceptSpec: Hashable, Sendable {
    package enum Mode: String, Hashable, Sendable, Codable {
        /// The traffic goes to the holder.
        case intercept
        /// A copy of it does.
        case wiretap
    }

    /// Longest bind address that is read.
    package static let maximumLength = 4096
    /// A manager that nobody comes back to does not keep an intercept for ever.
    package static let maximumLease = 600

    /// `deployment`, where it was given.
    package var kind: String?
    package var name: String
    package var namespace: String?
    package var mode = Mode.intercept
    package var filter = InterceptFilter()
    /// While the holder is away, connections are refused and not given to the app.
    package var isProtected = false
    /// Health probes go to the holder, too.
    package var takesProbes = false
    package var isDatagram = false
    /// The app's container is not there meanwhile.
    package var isReplacing = false
    /// Where clients connect to the pods themselves, their packets are led to the agent.
    package var isRedirecting = false
    /// Of the workload's containers, the one whose port is meant.
    package var container: String?
    /// Seconds for which a holder that was lost may come back.
    package var lease = 0
    /// Who it is, for people: `alice@laptop`.
    package var holder: String?

    package init(name: String, namespace: String? = nil, kind: String? = nil) {
        self.name = name
        self.namespace = namespace
        self.kind = kind
    }

    package struct Problem: Error, Hashable, CustomStringConvertible {
        package var description: String
    }

    package init(parsing text: String) throws(Problem) {
        guard text.utf8.count <= Self.maximumLength else { throw Problem(description: "the name is too long") }
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var place = parts[0].lowercased()[...]
        if let slash = place.firstIndex(of: "/") {
            kind = String(place[..<slash])
            place = place[place.index(after: slash)...]
        }
        let labels = place.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        name = String(labels[0])
        // `hello.default.svc.cluster.local` is the same workload.
        namespace = labels.count > 1 ? labels[1].split(separator: ".").first.map(String.init) : nil
        guard Self.isLabel(name), namespace.map(Self.isLabel) ?? true, kind.map(Self.isLabel) ?? true else {
            throw Problem(description: "\(text.prefix(64)) is not the name of a workload")
        }
        guard parts.count > 1 else { return }
        for option in parts[1].split(separator: "&", omittingEmptySubsequences: true) {
            let pair = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            try apply(String(pair[0]), pair.count > 1 ? try Self.decoded(pair[1]) : nil)
        }
    }

    private mutating func apply(_ name: String, _ value: String?) throws(Problem) {
        func text() throws(Problem) -> String {
            guard let value, !value.isEmpty else { throw Problem(description: "\(name) has no value") }
            return value
        }
        switch name {
        case "http-header":
            let pair = try text().split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, !pair[0].isEmpty else {
                throw Problem(description: "http-header=\(value ?? ""), expected NAME=REGEX")
            }
            filter.headers.append(InterceptFilter.Header(name: String(pair[0]), pattern: String(pair[1])))
        case "http-path-prefix": filter.path = .prefix(try text())
        case "http-path-equal": filter.path = .equal(try text())
        case "http-path-regex": filter.path = .regex(try text())
        case "http-method": filter.methods.append(try text().uppercased())
        case "wiretap": mode = .wiretap
        case "protected": isProtected = true
        case "probes": takesProbes = true
        case "udp": isDatagram = true
        case "replace": isReplacing = true
        case "inject-redirect": isRedirecting = true
        case "container":
            let name = try text()
            guard Self.isLabel(name) else {
                throw Problem(description: "\(name.prefix(64)) is not the name of a container")
            }
            container = name
        case "lease":
            guard let seconds = Int(try text()), (0...Self.maximumLease).contains(seconds) else {
                throw Problem(description: "lease=\(value ?? ""), expected seconds, at most \(Self.maximumLease)")
            }
            lease = seconds
        case "holder": holder = String(try text().prefix(128))
        default: throw Problem(description: "\(name.prefix(64)) is no option of an intercept")
        }
    }

    /// The bind address that asks for it.
    package var bindAddress: String {
        var options: [String] = []
        for header in filter.headers {
            options.append("http-header=" + Self.encoded(header.name + "=" + header.pattern))
        }
        switch filter.path {
        case nil: break
        case .prefix(let text): options.append("http-path-prefix=" + Self.encoded(text))
        case .equal(let text): options.append("http-path-equal=" + Self.encoded(text))
        case .regex(let text): options.append("http-path-regex=" + Self.encoded(text))
        }
        for method in filter.methods { options.append("http-method=" + Self.encoded(method)) }
        if mode == .wiretap { options.append("wiretap") }
        if isProtected { options.append("protected") }
        if takesProbes { options.append("probes") }
        if isDatagram { options.append("udp") }
        if isReplacing { options.append("replace") }
        if isRedirecting { options.append("inject-redirect") }
        if let container { options.append("container=" + container) }
        if lease > 0 { options.append("lease=\(lease)") }
        if let holder { options.append("holder=" + Self.encoded(holder)) }
        let place = (kind.map { $0 + "/" } ?? "") + name + (namespace.map { "." + $0 } ?? "")
        return options.isEmpty ? place : place + "?" + options.joined(separator: "&")
    }

    /// RFC 1123 §2.1.
    private static func isLabel(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 63
            && text.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
    }

    // MARK: Percent-encoding (RFC 3986 §2.1)

    private static func encoded(_ text: String) -> String {
        var result = ""
        let digits = Array("0123456789ABCDEF")
        for byte in text.utf8 {
            let isPlain = byte > 0x20 && byte < 0x7f && !"%&=?:#".utf8.contains(byte)
            if isPlain {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return result
    }

    private static func decoded(_ text: Substring) throws(Problem) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                throw Problem(description: "\(text.prefix(64)): % is not followed by two hexadecimal digits")
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let result = String(validating: bytes, as: UTF8.self) else {
            throw Problem(description: "\(text.prefix(64)) is not UTF-8")
        }
        return result
    }
}
