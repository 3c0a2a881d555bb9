import ArgumentParser
import NIOCore

/// `127.0.0.1:8022`, `[::1]:8022`, `localhost:8022`, `:8022` (everywhere), `127.0.0.1`.
struct ListenAddress: CustomStringConvertible {
    var host: String
    var port: Int

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    init(_ text: String, defaultPort: Int) throws {
        let expected = "expected ADDRESS:PORT, such as 0.0.0.0:\(defaultPort) or [::1]:\(defaultPort)"
        var host = text
        var port = defaultPort
        if text.hasPrefix("[") {
            let parts = text.dropFirst().split(separator: "]", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[1].isEmpty || parts[1].hasPrefix(":") else {
                throw ValidationError("'\(text)' is no address; \(expected)")
            }
            host = String(parts[0])
            if !parts[1].isEmpty { port = try Self.port(parts[1].dropFirst(), of: text, expected) }
        } else if text.filter({ $0 == ":" }).count == 1 {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            host = String(parts[0])
            port = try Self.port(parts[1], of: text, expected)
        }
        switch host {
        case "", "*": host = "0.0.0.0"
        case "localhost": host = "127.0.0.1"
        default: break
        }
        self.init(host: host, port: port)
        guard (try? socketAddress()) != nil else { throw ValidationError("'\(text)' is no address; \(expected)") }
    }

    func socketAddress() throws -> SocketAddress {
        try SocketAddress(ipAddress: host, port: port)
    }

    var description: String { (host.contains(":") ? "[\(host)]" : host) + ":\(port)" }

    private static func port(_ text: Substring, of whole: String, _ expected: String) throws -> Int {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(text), port <= 65_535
        else { throw ValidationError("'\(whole)' has no port from 0 to 65535; \(expected)") }
        return port
    }
}
