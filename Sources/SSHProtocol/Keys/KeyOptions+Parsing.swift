extension KeyOptions {
    /// As in OpenSSH (SSH_AUTHOPT_PERMIT_MAX, SSH_AUTHOPT_ENV_MAX).
    static let maximumPermits = 4096
    static let maximumEnvironment = 1024
    /// As in OpenSSH (NI_MAXHOST).
    static let maximumHostLength = 1024

    /// Reads the options of one line, in order.
    /// - Throws: `KeyError` for an option that is unknown or ill-formed: the line must then be ignored.
    init(parsing text: some Collection<UInt8>, origin: String) throws(KeyError) {
        self.init(origin: origin)
        var cursor = OptionCursor(text)
        var environmentCount = 0
        repeat {
            let (name, isNegated) = cursor.readName()
            // Nothing between two commas is no option, as in sshd.
            if name.isEmpty, cursor.isAtSeparator { continue }
            if let value = try cursor.readValue(of: name) {
                guard !isNegated else { throw KeyError.unknownOption("no-\(name)") }
                if name == "environment" {
                    environmentCount += 1
                    guard environmentCount <= Self.maximumEnvironment else {
                        throw KeyError("more than \(Self.maximumEnvironment) environment options")
                    }
                }
                try apply(name, value: value)
            } else {
                try apply(flag: name, isNegated: isNegated)
            }
        } while try cursor.readComma()
    }

    private mutating func apply(flag name: String, isNegated: Bool) throws(KeyError) {
        switch (name, isNegated) {
        case ("restrict", false):
            permissions.isRestricted = true
            permissions.permitsPortForwarding = false
            permissions.permitsAgentForwarding = false
            permissions.permitsX11Forwarding = false
            permissions.permitsPTY = false
            permissions.permitsUserRC = false
        case ("cert-authority", false): isAuthority = true
        case ("port-forwarding", _): permissions.permitsPortForwarding = !isNegated
        case ("agent-forwarding", _): permissions.permitsAgentForwarding = !isNegated
        case ("x11-forwarding", _): permissions.permitsX11Forwarding = !isNegated
        case ("pty", _): permissions.permitsPTY = !isNegated
        case ("user-rc", _): permissions.permitsUserRC = !isNegated
        case ("touch-required", _): permissions.requiresUserPresence = !isNegated
        // Ours: sshd has no such options, and would ignore the line.
        case ("admin", false): permissions.isAdmin = true
        case ("verify-required", _): permissions.requiresUserVerification = !isNegated
        default: throw .unknownOption(isNegated ? "no-\(name)" : name)
        }
    }

    private mutating func apply(_ name: String, value: String) throws(KeyError) {
        switch name {
        case "command":
            guard permissions.forcedCommand == nil else { throw KeyError("command= is given twice, expected one") }
            permissions.forcedCommand = value
        case "principals":
            guard principals == nil else { throw KeyError("principals= is given twice, expected one") }
            principals = value.utf8.split(separator: UInt8(ascii: ",")).map { String(Substring($0)) }
        case "from":
            guard from == nil else { throw KeyError("from= is given twice, expected one") }
            from = value
        case "expiry-time":
            guard let time = ExpiryTime.parse(value), time > 0 else {
                throw KeyError("expiry-time=\"\(value.printable)\", expected YYYYMMDD[HHMM[SS]][Z]")
            }
            permissions.expires = min(time, permissions.expires ?? time)
        case "environment":
            // sshd's default (PermitUserEnvironment no): read, and not used.
            let variable = value.utf8.prefix { $0 != UInt8(ascii: "=") }
            guard variable.count < value.utf8.count, !variable.isEmpty, variable.allSatisfy(\.isWordCharacter) else {
                throw KeyError("environment=\"\(value.printable)\", expected NAME=value")
            }
        case "permitopen":
            let rule = try Self.hostPort(value, option: name, mayBePortAlone: false)
            permissions.permitOpen = try Self.append(rule, to: permissions.permitOpen, option: name)
        case "permitlisten":
            let rule = try Self.hostPort(value, option: name, mayBePortAlone: true)
            permissions.permitListen = try Self.append(rule, to: permissions.permitListen, option: name)
        case "traffic-agent":
            guard permissions.trafficAgent == nil else { throw KeyError("traffic-agent= is given twice, expected one") }
            guard !value.isEmpty, value.utf8.allSatisfy({ $0.isWordCharacter || "-.*".utf8.contains($0) }) else {
                throw KeyError("traffic-agent=\"\(value.printable)\", expected a workload's name, or *")
            }
            permissions.trafficAgent = value
        case "tunnel":
            // Never granted: read, so that the line stays good for sshd.
            guard value.lowercased() == "any" || UInt32(value).map({ $0 < 0x7fff_ffff }) == true else {
                throw KeyError("tunnel=\"\(value.printable)\", expected a number or any")
            }
        default:
            throw .unknownOption(name)
        }
    }

    private static func append(
        _ rule: KeyPermissions.HostPort, to list: [KeyPermissions.HostPort]?, option: String
    ) throws(KeyError) -> [KeyPermissions.HostPort] {
        let list = list ?? []
        guard list.count < maximumPermits else { throw KeyError("more than \(maximumPermits) \(option) options") }
        return list + [rule]
    }

    /// `host:port`, `[v6]:port`, `host/port` (misc.c, hpdelim2); the port may be `*`.
    private static func hostPort(
        _ text: String, option: String, mayBePortAlone: Bool
    ) throws(KeyError) -> KeyPermissions.HostPort {
        let expected = mayBePortAlone ? "[host:]port" : "host:port"
        let ill = KeyError("\(option)=\"\(text.printable)\", expected \(expected), where the port is a number or *")
        var characters = Array(text.utf8)[...]
        if mayBePortAlone, !characters.contains(UInt8(ascii: ":")) { characters = Array("*:".utf8) + characters }
        let host: ArraySlice<UInt8>
        if characters.first == UInt8(ascii: "[") {
            guard let end = characters.firstIndex(of: UInt8(ascii: "]")) else { throw ill }
            host = characters[1..<end]
            characters = characters[(end + 1)...]
        } else {
            guard let end = characters.firstIndex(where: { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "/") }) else {
                throw ill
            }
            host = characters[..<end]
            characters = characters[end...]
        }
        guard let delimiter = characters.popFirst(), delimiter == UInt8(ascii: ":") || delimiter == UInt8(ascii: "/"),
            host.count < maximumHostLength
        else { throw ill }
        let name = String(decoding: host, as: UTF8.self)
        if characters.elementsEqual([UInt8(ascii: "*")]) { return KeyPermissions.HostPort(host: name, port: nil) }
        guard characters.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(String(decoding: characters, as: UTF8.self)), port > 0
        else { throw ill }
        return KeyPermissions.HostPort(host: name, port: port)
    }
}

/// Takes options apart: `name`, `no-name` or `name="value"`, with `\"` for a quote within the value.
private struct OptionCursor {
    private var rest: ArraySlice<UInt8>

    init(_ text: some Collection<UInt8>) {
        rest = Array(text)[...]
    }

    var isAtSeparator: Bool { rest.isEmpty || rest.first == UInt8(ascii: ",") }

    /// The name in lower case, and whether `no-` stood before it.
    mutating func readName() -> (name: String, isNegated: Bool) {
        let name = Array(rest.prefix { $0 == UInt8(ascii: "-") || $0.isWordCharacter })
        rest = rest.dropFirst(name.count)
        let text = String(decoding: name.lowercased, as: UTF8.self)
        guard text.hasPrefix("no-") else { return (text, false) }
        return (String(text.dropFirst(3)), true)
    }

    /// The value after `=`, or `nil` when there is none.
    mutating func readValue(of name: String) throws(KeyError) -> String? {
        guard rest.first == UInt8(ascii: "=") else { return nil }
        rest = rest.dropFirst()
        guard rest.popFirst() == UInt8(ascii: "\"") else {
            throw KeyError("\(name.printable)= is not followed by a quote, expected \(name.printable)=\"…\"")
        }
        var value: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\"") {
                guard let text = String(validating: value, as: UTF8.self) else {
                    throw KeyError("\(name.printable)= is not UTF-8")
                }
                return text
            }
            if byte == UInt8(ascii: "\\"), rest.first == UInt8(ascii: "\"") {
                value.append(UInt8(ascii: "\""))
                rest = rest.dropFirst()
            } else {
                value.append(byte)
            }
        }
        throw KeyError("\(name.printable)= has no closing quote")
    }

    /// Whether another option follows.
    mutating func readComma() throws(KeyError) -> Bool {
        guard let next = rest.popFirst() else { return false }
        guard next == UInt8(ascii: ",") else {
            throw KeyError("options are malformed, expected a list with a comma between options and no space")
        }
        return true
    }
}

extension KeyError {
    fileprivate static func unknownOption(_ name: String) -> KeyError {
        KeyError("unknown key option \(name.printable)")
    }
}

extension UInt8 {
    /// A letter or digit of ASCII, or `_`.
    var isWordCharacter: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"): true
        default: false
        }
    }
}
