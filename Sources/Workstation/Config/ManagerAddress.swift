/// Where a manager is, as people write it: `host`, `host:port`, `[v6]:port` or a bare IPv6 address.
package struct ManagerAddress: Hashable, Sendable {
    package static let defaultPort: UInt16 = 8022

    package var host: String
    package var port: UInt16

    /// What is wrong with a text.
    package struct Problem: Error, Hashable, Sendable {
        package var text: String
    }

    package init(parsing text: String) throws(Problem) {
        let problem = Problem(text: "expected HOST or HOST:PORT, IPv6 in brackets")
        var host = text
        var port: String?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw problem }
            host = String(text[text.index(after: text.startIndex)..<end])
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw problem }
            if !rest.isEmpty { port = String(rest.dropFirst()) }
        } else if text.count(where: { $0 == ":" }) == 1, let colon = text.firstIndex(of: ":") {
            host = String(text[..<colon])
            port = String(text[text.index(after: colon)...])
        }
        // What is passed on must not look like an option, or hold what is not a character.
        guard !host.isEmpty, !host.hasPrefix("-"), host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else {
            throw problem
        }
        self.host = host
        guard let port else {
            self.port = Self.defaultPort
            return
        }
        guard let number = UInt16(port), number > 0, port.utf8.allSatisfy({ (48...57).contains($0) }) else {
            throw Problem(text: "the port is no number from 1 to 65535")
        }
        self.port = number
    }
}
