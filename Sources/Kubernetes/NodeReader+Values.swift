import Yams

extension NodeReader {
    /// The value of a key; `nil` when it is absent or null.
    func optional(_ key: String) throws(InputError) -> NodeReader? {
        guard case .mapping(let mapping) = node else { throw error("a mapping") }
        // By the key's text: looking up a node would resolve and compare tags.
        for (name, value) in mapping {
            guard case .scalar(let scalar) = name, scalar.string == key else { continue }
            let reader = child(value, key)
            return reader.isNull ? nil : reader
        }
        return nil
    }

    func required(_ key: String) throws(InputError) -> NodeReader {
        guard let reader = try optional(key) else {
            let whole = path.isEmpty ? key : "\(path).\(key)"
            throw InputError(
                location: location, problem: "\(subject.isEmpty ? "an object" : subject) has no \(whole)",
                expected: "\(whole) to be set")
        }
        return reader
    }

    func elements() throws(InputError) -> [NodeReader] {
        guard case .sequence(let sequence) = node else { throw error("a sequence") }
        return sequence.enumerated().map { child($1, "[\($0)]") }
    }

    func string(expected: String = "a string") throws(InputError) -> String {
        guard case .scalar(let scalar) = node else { throw error(expected) }
        if scalar.style == .plain {
            let text = scalar.string
            let startsAsNumber = text.first.map { $0.isNumber || "+-.".contains($0) } ?? false
            if isNull || text == "true" || text == "false" || (startsAsNumber && Double(text) != nil) {
                throw error("\(expected) (in quotes)")
            }
        }
        return scalar.string
    }

    func bool() throws(InputError) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain else { throw error("true or false") }
        switch scalar.string {
        case "true", "True", "TRUE": return true
        case "false", "False", "FALSE": return false
        default: throw error("true or false")
        }
    }

    func integer(in range: ClosedRange<Int>, expected: String) throws(InputError) -> Int {
        guard case .scalar(let scalar) = node, scalar.style == .plain, let value = Int(scalar.string),
            range.contains(value)
        else { throw error(expected) }
        return value
    }

    func port() throws(InputError) -> UInt16 {
        UInt16(try integer(in: 1...65535, expected: "a port number from 1 to 65535"))
    }

    func address() throws(InputError) -> IPAddress {
        let expected = "an IP address"
        guard let address = IPAddress(try string(expected: expected)) else { throw error(expected) }
        return address
    }

    func stringMap() throws(InputError) -> [String: String] {
        guard case .mapping(let mapping) = node else { throw error("a mapping of strings") }
        var result: [String: String] = [:]
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else { throw error("a mapping of strings") }
            let reader = child(value, NodeReader.printable(scalar.string))
            result[scalar.string] = reader.isNull ? "" : try reader.string()
        }
        return result
    }

    /// A DNS label (RFC 1123 §2.1), which is what Kubernetes lets Services, namespaces, hostnames and ports be called.
    func label(
        expected: String = "a name of at most 63 lower-case letters, digits and '-'"
    ) throws(InputError) -> String {
        let text = try string(expected: expected)
        guard NodeReader.isLabel(text[...]) else { throw error(expected) }
        return text
    }

    /// kubectl prints the name of an only port as `""`.
    func labelOrEmpty() throws(InputError) -> String {
        if case .scalar(let scalar) = node, scalar.string.isEmpty { return "" }
        return try label()
    }

    /// A DNS name of such labels: what other objects may be called, and what an `externalName` is.
    func subdomain() throws(InputError) -> String {
        let expected = "a name of lower-case letters, digits, '-' and '.'"
        var text = try string(expected: expected)[...]
        let whole = String(text)
        if text.hasSuffix(".") { text.removeLast() }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= 253, labels.allSatisfy(NodeReader.isLabel) else { throw error(expected) }
        return whole
    }

    private static func isLabel(_ text: Substring) -> Bool {
        let bytes = text.utf8
        guard (1...63).contains(bytes.count), bytes.first != UInt8(ascii: "-"), bytes.last != UInt8(ascii: "-") else {
            return false
        }
        return bytes.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || $0 == UInt8(ascii: "-")
        }
    }
}
