import FoundationEssentials

/// What stands between this machine and an API server: `proxy-url` of a kubeconfig, or the environment as kubectl reads it
/// (Go's httpproxy: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in capitals or not).
package struct ClusterProxy: Sendable, Hashable {
    package enum Kind: Sendable { case http, socks5 }

    package var kind: Kind
    package var host: String
    package var port: Int
    /// `user:password` in base64, for an HTTP proxy.
    package var credentials: String?

    /// `source` says where the URL stands.
    package init(url: String, source: String) throws(KubernetesError) {
        let separator = url.firstRange(of: "://")
        let scheme = separator.map { url[..<$0.lowerBound].lowercased() } ?? "http"
        var authority = url[(separator?.upperBound ?? url.startIndex)...].prefix { $0 != "/" }
        switch scheme {
        case "http": kind = .http
        case "socks5", "socks5h": kind = .socks5
        default:
            throw KubernetesError(
                .configuration, "\(source): a proxy of \(scheme)://, expected http:// or socks5://")
        }
        if let at = authority.lastIndex(of: "@") {
            let user = String(authority[..<at])
            guard kind == .http else {
                throw KubernetesError(
                    .configuration, "\(source): a SOCKS proxy that wants a password, expected socks5://HOST:PORT")
            }
            credentials = Data((Self.unescaped(user) ?? user).utf8).base64EncodedString()
            authority = authority[authority.index(after: at)...]
        }
        guard let (host, port, _, _) = ClusterTLS.authority(of: "http://\(authority)"), !host.isEmpty else {
            throw KubernetesError(.configuration, "\(source): a proxy without a host, expected http://HOST:PORT")
        }
        self.host = host
        self.port = kind == .socks5 && !Self.hasPort(authority) ? 1080 : port
    }

    private static func hasPort(_ authority: Substring) -> Bool {
        authority.last != "]" && authority.contains(":")
    }

    private static func unescaped(_ text: String) -> String? {
        guard text.contains("%") else { return text }
        var bytes: [UInt8] = []
        var rest = Substring(text)
        while let first = rest.popFirst() {
            guard first == "%" else {
                bytes += Array(String(first).utf8)
                continue
            }
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    package static let variables = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"]

    /// The environment's for `server`, if there is one that NO_PROXY does not except.
    package static func ofEnvironment(
        for server: String, _ environment: (String) -> String?
    ) throws(KubernetesError) -> ClusterProxy? {
        func variable(_ name: String) -> String? {
            for name in [name, name.lowercased()] {
                if let value = environment(name), !value.isEmpty { return value }
            }
            return nil
        }
        guard let (host, port, isTLS, _) = ClusterTLS.authority(of: server) else { return nil }
        let name = isTLS ? "HTTPS_PROXY" : "HTTP_PROXY"
        guard let url = variable(name), !isExcepted(host, port, by: variable("NO_PROXY") ?? "") else { return nil }
        return try ClusterProxy(url: url, source: name)
    }

    /// Whether nobody stands between: loopback, and what NO_PROXY names.
    static func isExcepted(_ host: String, _ port: Int, by list: String) -> Bool {
        let host = host.lowercased()
        let address = IPAddress(host)
        if host == "localhost" || host == "::1" || host.hasPrefix("127.") && address != nil { return true }
        return list.lowercased().split(separator: ",").contains { entry in
            var name = entry.trimmingSpaces
            if name == "*" { return true }
            if let address, name.contains("/") { return address.isInside(name) }
            if !name.hasSuffix("]"), let colon = name.lastIndex(of: ":"), name.filter({ $0 == ":" }).count == 1 {
                guard Int(name[name.index(after: colon)...]) == port else { return false }
                name = String(name[..<colon])
            }
            if name.hasPrefix("*.") { name.removeFirst() }
            if name.hasPrefix(".") { return host.hasSuffix(name) }
            return !name.isEmpty && (host == name || host.hasSuffix(".\(name)"))
        }
    }
}

extension IPAddress {
    /// Whether it is of a network in CIDR notation.
    fileprivate func isInside(_ network: String) -> Bool {
        let parts = network.split(separator: "/", maxSplits: 1).map(String.init)
        guard parts.count == 2, let length = Int(parts[1]), let base = IPAddress(parts[0]) else { return false }
        switch (self, base) {
        case (.v4(let address), .v4(let base)): return 0...32 ~= length && (address ^ base) >> UInt32(32 - length) == 0
        case (.v6(let address), .v6(let base)):
            return 0...128 ~= length && (address ^ base) >> UInt128(128 - length) == 0
        default: return false
        }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
