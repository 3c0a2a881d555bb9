import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// What connections to an API server have in common, whoever makes them.
enum ClusterTLS {
    static func configuration(_ access: ClusterAccess) throws(KubernetesError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        do {
            if let authority = access.authority {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(authority.utf8)))
            }
            if access.skipsVerification { configuration.certificateVerification = .none }
            if let certificate = access.credentials.certificate {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8))
                    .map { .certificate($0) }
            }
            if let key = access.credentials.key {
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem))
            }
        } catch {
            throw KubernetesError(
                .configuration, "context \(access.contextName): a certificate or a key is not understood: \(error)")
        }
        return configuration
    }

    /// Of a URL, without brackets.
    static func host(of server: String) -> String? { authority(of: server)?.host }

    static func authority(of server: String) -> (host: String, port: Int, isTLS: Bool, path: String)? {
        let isTLS = server.hasPrefix("https://")
        guard isTLS || server.hasPrefix("http://") else { return nil }
        let rest = server.dropFirst(isTLS ? 8 : 7)
        let place = rest.prefix { $0 != "/" }
        let path = String(rest.dropFirst(place.count))
        let port = isTLS ? 443 : 80
        if place.hasPrefix("["), let end = place.firstIndex(of: "]") {
            let after = place[place.index(after: end)...].dropFirst()
            return (String(place[place.index(after: place.startIndex)..<end]), Int(after) ?? port, isTLS, path)
        }
        let parts = place.split(separator: ":", maxSplits: 1)
        guard let host = parts.first else { return nil }
        return (String(host), parts.count > 1 ? Int(parts[1]) ?? port : port, isTLS, path)
    }

    static func impersonate(_ impersonation: ClusterAccess.Impersonation, _ headers: inout HTTPHeaders) {
        guard let user = impersonation.user else { return }
        headers.add(name: "impersonate-user", value: user)
        for group in impersonation.groups { headers.add(name: "impersonate-group", value: group) }
        if let uid = impersonation.uid { headers.add(name: "impersonate-uid", value: uid) }
    }

    /// One line for people.
    static func text(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError, let first = error.connectionErrors.first {
            return text(first.error)
        }
        if let error = error as? IOError {
            return String(cString: strerror(error.errnoCode))
        }
        let text = "\(error)".split(whereSeparator: \.isNewline).first.map(String.init) ?? "\(error)"
        if text.contains("CERTIFICATE_VERIFY_FAILED") {
            return "its certificate is not one of the authority that the kubeconfig names"
        }
        if text.contains("proxyAuthenticationRequired") { return "the proxy wants a name and a password" }
        if text.contains("nvalidProxyResponse") { return "the proxy does not lead there" }
        return text.contains("connectTimeout") || text.contains("deadlineExceeded") ? "no answer in time" : text
    }
}
