import FoundationEssentials
import Glibc
import Yams

/// Kubeconfig files, merged as kubectl merges them: of each name and of each setting the first file's is taken.
package struct Kubeconfig: Sendable {
    private struct File: Decodable {
        var currentContext: String?
        var clusters: [Named<Cluster>]?
        var users: [Named<User>]?
        var contexts: [Named<Context>]?

        enum CodingKeys: String, CodingKey {
            case currentContext = "current-context"
            case clusters, users, contexts
        }
    }

    private struct Named<Value: Decodable & Sendable>: Decodable {
        var name: String
        var value: Value

        private struct Key: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            name = try container.decode(String.self, forKey: Key(stringValue: "name"))
            let key = container.allKeys.first { ["cluster", "user", "context"].contains($0.stringValue) }
            value = try container.decode(Value.self, forKey: key ?? Key(stringValue: "cluster"))
        }
    }

    struct Cluster: Decodable, Sendable {
        var server: String?
        var certificateAuthority: String?
        var certificateAuthorityData: String?
        var skipsVerification: Bool?
        var tlsServerName: String?
        var proxyURL: String?

        enum CodingKeys: String, CodingKey {
            case server
            case certificateAuthority = "certificate-authority"
            case certificateAuthorityData = "certificate-authority-data"
            case skipsVerification = "insecure-skip-tls-verify"
            case tlsServerName = "tls-server-name"
            case proxyURL = "proxy-url"
        }
    }

    struct User: Decodable, Sendable {
        var clientCertificate: String?
        var clientCertificateData: String?
        var clientKey: String?
        var clientKeyData: String?
        var token: String?
        var tokenFile: String?
        var username: String?
        var password: String?
        var impersonatedUser: String?
        var impersonatedGroups: [String]?
        var impersonatedUID: String?
        var exec: ExecPlugin?

        enum CodingKeys: String, CodingKey {
            case clientCertificate = "client-certificate"
            case clientCertificateData = "client-certificate-data"
            case clientKey = "client-key"
            case clientKeyData = "client-key-data"
            case token, tokenFile, username, password, exec
            case impersonatedUser = "as"
            case impersonatedGroups = "as-groups"
            case impersonatedUID = "as-uid"
        }
    }

    struct Context: Decodable, Sendable {
        var cluster: String?
        var user: String?
        var namespace: String?
    }

    private var currentContext: String?
    private var clusters: [String: (value: Cluster, file: String)] = [:]
    private var users: [String: (value: User, file: String)] = [:]
    private var contexts: [String: Context] = [:]
    /// Those that were read.
    package private(set) var files: [String] = []

    /// Reads `--kubeconfig`, or else the list in KUBECONFIG, of which missing files are passed over, or else
    /// `~/.kube/config`.
    package init(explicit: String?, variable: String?, home: String?) throws(KubernetesError) {
        if let explicit {
            guard let text = Self.contents(explicit) else {
                throw KubernetesError(.configuration, "\(explicit): \(String(cString: strerror(errno)))")
            }
            try add(explicit, text)
            return
        }
        var paths = (variable ?? "").split(separator: ":").map(String.init)
        if paths.isEmpty, let home { paths = [home + "/.kube/config"] }
        for path in paths {
            if let text = Self.contents(path) { try add(path, text) }
        }
        guard !files.isEmpty else {
            throw KubernetesError(
                .configuration,
                "no kubeconfig: \(paths.joined(separator: ", ")) cannot be read; expected --kubeconfig FILE")
        }
    }

    static func contents(_ path: String) -> String? {
        guard let file = fopen(path, "re") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        // A kubeconfig of a thousand clusters is a few MiB.
        while bytes.count < 16 << 20 {
            let count = fread(&buffer, 1, buffer.count, file)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return ferror(file) == 0 ? String(decoding: bytes, as: UTF8.self) : nil
    }

    private mutating func add(_ path: String, _ text: String) throws(KubernetesError) {
        files.append(path)
        let file: File
        do {
            guard !text.allSatisfy(\.isWhitespace) else { return }
            file = try YAMLDecoder().decode(File.self, from: text)
        } catch {
            let what = "\(error)".split(whereSeparator: \.isNewline).first.map(String.init) ?? "not understood"
            throw KubernetesError(.configuration, "\(path): \(what); expected a kubeconfig")
        }
        currentContext = currentContext ?? file.currentContext.flatMap { $0.isEmpty ? nil : $0 }
        for one in file.clusters ?? [] where clusters[one.name] == nil { clusters[one.name] = (one.value, path) }
        for one in file.users ?? [] where users[one.name] == nil { users[one.name] = (one.value, path) }
        for one in file.contexts ?? [] where contexts[one.name] == nil { contexts[one.name] = one.value }
    }

    private static func known(_ names: some Sequence<String>) -> String {
        let names = names.sorted().prefix(8)
        return names.isEmpty ? "none" : names.joined(separator: ", ")
    }

    /// What a context, with the flags over it, leads to.
    package func access(
        _ overrides: ConnectionOverrides, environment: (String) -> String? = { _ in nil }
    ) throws(KubernetesError) -> ClusterAccess {
        let place = files.joined(separator: ":")
        guard let name = overrides.context ?? currentContext else {
            throw KubernetesError(
                .configuration, "\(place): no current-context; expected --context, one of \(Self.known(contexts.keys))")
        }
        guard let context = contexts[name] else {
            throw KubernetesError(
                .configuration, "\(place): no context \(name); expected one of \(Self.known(contexts.keys))")
        }
        let clusterName = overrides.cluster ?? context.cluster ?? ""
        guard let (cluster, clusterFile) = clusters[clusterName] else {
            throw KubernetesError(
                .configuration, "\(place): no cluster \(clusterName); expected one of \(Self.known(clusters.keys))")
        }
        guard var server = overrides.server ?? cluster.server,
            server.hasPrefix("https://") || server.hasPrefix("http://")
        else {
            throw KubernetesError(
                .configuration, "\(clusterFile): cluster \(clusterName) has no server, expected https://HOST:PORT")
        }
        while server.hasSuffix("/") { server.removeLast() }
        var access = ClusterAccess(
            contextName: name, server: server, namespace: overrides.namespace ?? context.namespace ?? "default")
        access.authority = try Self.material(
            overrides.certificateAuthority, cluster.certificateAuthority, cluster.certificateAuthorityData,
            beside: clusterFile, "certificate-authority of cluster \(clusterName)")
        access.skipsVerification = overrides.skipsTLSVerification ?? cluster.skipsVerification ?? false
        access.tlsServerName = overrides.tlsServerName ?? cluster.tlsServerName
        if let url = cluster.proxyURL, !url.isEmpty {
            access.proxy = try ClusterProxy(url: url, source: "\(clusterFile): proxy-url of cluster \(clusterName)")
        } else {
            access.proxy = try ClusterProxy.ofEnvironment(for: server, environment)
        }
        if let userName = overrides.user ?? context.user, !userName.isEmpty {
            guard let (user, userFile) = users[userName] else {
                throw KubernetesError(
                    .configuration, "\(place): no user \(userName); expected one of \(Self.known(users.keys))")
            }
            access.credentials = try Self.credentials(user, userName, userFile, overrides)
            access.impersonation = ClusterAccess.Impersonation(
                user: user.impersonatedUser, groups: user.impersonatedGroups ?? [], uid: user.impersonatedUID)
        }
        if let token = overrides.token { access.credentials = .init(token: token) }
        if let user = overrides.impersonatedUser {
            access.impersonation = .init(
                user: user, groups: overrides.impersonatedGroups, uid: overrides.impersonatedUID)
        }
        return access
    }

    private static func credentials(
        _ user: User, _ name: String, _ file: String, _ overrides: ConnectionOverrides
    ) throws(KubernetesError) -> ClusterAccess.Credentials {
        var credentials = ClusterAccess.Credentials()
        credentials.certificate = try material(
            overrides.clientCertificate, user.clientCertificate, user.clientCertificateData, beside: file,
            "client-certificate of user \(name)")
        credentials.key = try material(
            overrides.clientKey, user.clientKey, user.clientKeyData, beside: file, "client-key of user \(name)")
        credentials.token = user.token
        // The file wins, as it does for kubectl.
        credentials.tokenFile = user.tokenFile.map { resolve($0, beside: file) }
        credentials.exec = user.exec
        if let username = user.username, let password = user.password {
            credentials.basic = Data("\(username):\(password)".utf8).base64EncodedString()
        }
        return credentials
    }

    /// Relative paths are relative to the file they stand in.
    private static func resolve(_ path: String, beside file: String) -> String {
        guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
        return file[...slash] + path
    }

    /// PEM, from a flag's file, inline data, or a file.
    private static func material(
        _ flag: String?, _ path: String?, _ data: String?, beside file: String, _ what: String
    ) throws(KubernetesError) -> String? {
        if flag == nil, let data, !data.isEmpty {
            guard let bytes = Data(base64Encoded: data) else {
                throw KubernetesError(.configuration, "\(file): \(what)-data is no base64")
            }
            return String(decoding: bytes, as: UTF8.self)
        }
        guard let path = flag ?? path.map({ resolve($0, beside: file) }), !path.isEmpty else { return nil }
        guard let text = contents(path) else {
            throw KubernetesError(.configuration, "\(what): \(path): \(String(cString: strerror(errno)))")
        }
        return text
    }
}
