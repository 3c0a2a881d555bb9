import Logging
import SSHClient

/// What each kind of setting may be; the functions tell what was expected, or `nil` when it is as it should be.
package enum ConfigValue {
    static func manager(_ text: String) -> String? {
        do throws(ManagerAddress.Problem) {
            _ = try ManagerAddress(parsing: text)
            return nil
        } catch {
            return error.text
        }
    }

    static func hostKey(_ text: String) -> String? {
        HostKeyPin.isFingerprint(text)
            ? nil : "expected SHA256: and 43 characters of base64, as ssh-keygen -l prints it"
    }

    /// Safe on a command line and in a protocol's field.
    package static func name(_ text: String) -> String? {
        !text.isEmpty && !text.hasPrefix("-") && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f }
            ? nil : "expected a name without spaces that does not begin with '-'"
    }

    /// A label (RFC 1123).
    package static func namespace(_ text: String) -> String? {
        let isLabel =
            (1...63).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (48...57).contains(byte)
                    || byte == UInt8(ascii: "-")
            } && !text.hasPrefix("-") && !text.hasSuffix("-")
        return isLabel ? nil : "expected a namespace: at most 63 of a-z, 0-9 and '-'"
    }

    static func transport(_ text: String) -> String? {
        ClusterSettings.Transport(rawValue: text) != nil
            ? nil : "expected one of " + ClusterSettings.Transport.allCases.map(\.rawValue).joined(separator: ", ")
    }

    package static func logLevel(_ text: String) -> String? {
        Logger.Level(rawValue: text) != nil
            ? nil : "expected one of " + Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
    }

    /// A domain, with or without a dot at either end.
    static func suffix(_ text: String) -> String? {
        let labels = text.split(separator: ".", omittingEmptySubsequences: true)
        let isDomain =
            !labels.isEmpty && text.utf8.count <= 254
            && labels.allSatisfy { label in
                label.utf8.count <= 63
                    && label.utf8.allSatisfy { byte in
                        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || (48...57).contains(byte)
                            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                    }
            }
        return isDomain ? nil : "expected a domain, as cluster.local"
    }

    /// `10.0.0.0/8`, `fd00::/8`, or an address alone.
    static func prefix(_ text: String) -> String? {
        NetworkPrefix(text) != nil
            ? nil : "expected a subnet, as 10.0.0.0/8 or fd00::/8, with nothing behind its prefix"
    }

    /// What `also-proxy` and `never-proxy` have: a subnet, or a name that is looked up in the cluster.
    package static func proxied(_ text: String) -> String? {
        if let prefix = NetworkPrefix(text) {
            return prefix.length >= (prefix.isIPv4 ? 8 : 16)
                ? nil : "too much of the world; the widest subnet is /8, or /16 with IPv6"
        }
        guard !text.contains("/"), !text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2e }) else {
            return prefix(text)
        }
        return suffix(text) == nil ? nil : "expected a subnet, as 10.0.0.0/8, or a name, as db.example"
    }

    package static func virtualSubnets(_ text: String) -> String? {
        if text == "auto" || text == "never" { return nil }
        guard let prefix = NetworkPrefix(text), prefix.isIPv4, (8...NameRanges.longest4).contains(prefix.length) else {
            return "expected auto, never, or an IPv4 subnet that nobody has, /8 to /16, as 246.0.0.0/8"
        }
        return nil
    }

    static func flag(_ text: String) -> String? {
        text == "true" || text == "false" ? nil : "expected true or false"
    }

    static func duration(_ text: String) -> String? {
        milliseconds(text) != nil ? nil : "expected a time, as 500ms, 10s or 2m"
    }

    /// Of a time as people write it; a number alone is seconds. At most a day, and never nothing.
    package static func milliseconds(_ text: String) -> Int64? {
        let units: [(String, Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("", 1000)]
        for (unit, factor) in units where text.hasSuffix(unit) {
            let digits = text.dropLast(unit.count)
            guard !digits.isEmpty, digits.utf8.count <= 9, digits.utf8.allSatisfy({ (48...57).contains($0) }),
                let number = Int64(digits), number > 0, number * factor <= 86_400_000
            else { continue }
            return number * factor
        }
        return nil
    }
}
