import Testing

@testable import Kubernetes

/// Kubeconfigs as kubectl and others write them, in files of their own.
@Suite struct KubeconfigTests {
    private static let first = """
        apiVersion: v1
        kind: Config
        current-context: dev
        clusters:
        - name: dev
          cluster: {server: "https://10.0.0.1:6443/", certificate-authority: ca.pem}
        - cluster: {server: "https://prod.example:443", insecure-skip-tls-verify: true, tls-server-name: api}
          name: prod
        users:
        - name: alice
          user: {token: secret, as: bob, as-groups: [a, b]}
        contexts:
        - name: dev
          context: {cluster: dev, user: alice, namespace: team}
        - name: broken
          context: {cluster: nowhere, user: alice}
        """
    private static let second = """
        current-context: other
        clusters:
        - name: dev
          cluster: {server: "https://10.9.9.9:6443"}
        contexts:
        - name: prod
          context: {cluster: prod, user: robot}
        users:
        - name: robot
          user:
            exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, "echo"], interactiveMode: Never}
        """

    private func files() throws -> TemporaryFiles {
        let files = try TemporaryFiles()
        try files.write("first", Self.first)
        try files.write("second", Self.second)
        try files.write("ca.pem", "PEM")
        return files
    }

    @Test func theFirstFileWins() throws {
        let files = try files()
        let list = "\(files.path("first")):\(files.path("missing")):\(files.path("second"))"
        let config = try Kubeconfig(explicit: nil, variable: list, home: nil)
        let dev = try config.access(ConnectionOverrides())
        #expect(dev.contextName == "dev")
        #expect(dev.server == "https://10.0.0.1:6443")
        #expect(dev.namespace == "team")
        #expect(dev.authority == "PEM", "relative to the file it stands in")
        #expect(dev.credentials.token == "secret")
        #expect(dev.impersonation == .init(user: "bob", groups: ["a", "b"]))
        var overrides = ConnectionOverrides()
        overrides.context = "prod"
        let prod = try config.access(overrides)
        #expect(prod.server == "https://prod.example:443")
        #expect(prod.skipsVerification)
        #expect(prod.tlsServerName == "api")
        #expect(prod.credentials.exec?.command == "sh")
        #expect(prod.namespace == "default")
    }

    @Test func flagsWin() throws {
        let files = try files()
        var overrides = ConnectionOverrides()
        overrides.server = "https://127.0.0.1:1"
        overrides.token = "other"
        overrides.namespace = "mine"
        overrides.impersonatedUser = "carol"
        let config = try Kubeconfig(explicit: files.path("first"), variable: nil, home: nil)
        let access = try config.access(overrides)
        #expect(access.server == "https://127.0.0.1:1")
        #expect(access.credentials == .init(token: "other"))
        #expect(access.namespace == "mine")
        #expect(access.impersonation == .init(user: "carol"))
    }

    @Test func whatIsWrongIsSaid() throws {
        let files = try files()
        let config = try Kubeconfig(explicit: files.path("first"), variable: nil, home: nil)
        func problem(_ change: (inout ConnectionOverrides) -> Void) -> String? {
            var overrides = ConnectionOverrides()
            change(&overrides)
            do {
                _ = try config.access(overrides)
                return nil
            } catch {
                return "\(error)"
            }
        }
        let first = files.path("first")
        #expect(problem { $0.context = "no" } == "\(first): no context no; expected one of broken, dev")
        #expect(problem { $0.context = "broken" } == "\(first): no cluster nowhere; expected one of dev, prod")
        #expect(problem { $0.user = "nobody" } == "\(first): no user nobody; expected one of alice")
        #expect(
            problem { $0.certificateAuthority = "/nowhere" }
                == "certificate-authority of cluster dev: /nowhere: No such file or directory")
        #expect(throws: KubernetesError.self) {
            try Kubeconfig(explicit: files.path("missing"), variable: nil, home: nil)
        }
        try files.write("text", "contexts: 5")
        #expect(throws: KubernetesError.self) {
            try Kubeconfig(explicit: files.path("text"), variable: nil, home: nil)
        }
    }

    @Test func aProgramGivesTokensOut() async throws {
        let files = try TemporaryFiles()
        try files.write("count", "")
        var access = ClusterAccess(contextName: "x", server: "https://x", namespace: "default")
        let script = """
            echo x >>\(files.path("count"))
            echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",
            "status":{"token":"from the program","expirationTimestamp":"2999-01-01T00:00:00Z"}}'
            """
        access.credentials.exec = ExecPlugin(
            apiVersion: "client.authentication.k8s.io/v1", command: "sh", args: ["-c", script])
        let source = CredentialSource(access)
        #expect(try await source.authorization() == "Bearer from the program")
        #expect(try await source.authorization() == "Bearer from the program")
        #expect(Kubeconfig.contents(files.path("count")) == "x\n", "asked once, until it expires")
        source.forget()
        _ = try await source.authorization()
        #expect(Kubeconfig.contents(files.path("count")) == "x\nx\n")
    }

    @Test func aProgramThatFailsIsQuoted() async throws {
        var access = ClusterAccess(contextName: "x", server: "https://x", namespace: "default")
        access.credentials.exec = ExecPlugin(
            apiVersion: "client.authentication.k8s.io/v1", command: "sh",
            args: ["-c", "echo log in first >&2; exit 3"],
            installHint: "see example.com")
        let source = CredentialSource(access)
        let error = await #expect(throws: KubernetesError.self) { try await source.authorization() }
        #expect(error?.description == "the credential plugin sh failed: log in first; see example.com")
    }

    // MARK: Proxies

    @Test(arguments: [
        ("http://squid.example:3128", ClusterProxy.Kind.http, "squid.example", 3128),
        ("squid.example:3128", .http, "squid.example", 3128),
        ("http://10.0.0.9", .http, "10.0.0.9", 80),
        ("socks5://[fd00::9]:1081/", .socks5, "fd00::9", 1081),
        ("socks5://127.0.0.1", .socks5, "127.0.0.1", 1080),
    ])
    func proxiesAreRead(_ url: String, _ kind: ClusterProxy.Kind, _ host: String, _ port: Int) throws {
        let proxy = try ClusterProxy(url: url, source: "test")
        #expect(proxy.kind == kind)
        #expect(proxy.host == host)
        #expect(proxy.port == port)
        #expect(proxy.credentials == nil)
    }

    @Test func aProxysPasswordIsUnescaped() throws {
        let proxy = try ClusterProxy(url: "http://me:p%40ss@squid:1", source: "test")
        // me:p@ss
        #expect(proxy.credentials == "bWU6cEBzcw==")
    }

    @Test(arguments: ["https://squid:1", "ftp://squid", "http://", "socks5://me:secret@squid"])
    func whatIsNoProxyIsNamed(_ url: String) {
        let error = #expect(throws: KubernetesError.self) { try ClusterProxy(url: url, source: "HTTPS_PROXY") }
        #expect(error?.description.hasPrefix("HTTPS_PROXY: a ") == true)
        #expect(error?.description.contains("secret") == false)
    }

    @Test func theKubeconfigsProxyWins() throws {
        let files = try TemporaryFiles()
        try files.write(
            "config",
            """
            current-context: a
            clusters:
            - name: a
              cluster: {server: "https://10.0.0.1:6443", proxy-url: "http://one:1"}
            - name: b
              cluster: {server: "https://api.example"}
            contexts:
            - name: a
              context: {cluster: a}
            - name: b
              context: {cluster: b}
            """)
        let config = try Kubeconfig(explicit: files.path("config"), variable: nil, home: nil)
        let variables = ["https_proxy": "http://two:2"]
        #expect(try config.access(ConnectionOverrides()) { variables[$0] }.proxy?.host == "one")
        var overrides = ConnectionOverrides()
        overrides.context = "b"
        #expect(try config.access(overrides) { variables[$0] }.proxy?.host == "two")
        #expect(try config.access(overrides) { ["no_proxy": "example"].merging(variables) { $1 }[$0] }.proxy == nil)
        #expect(try config.access(overrides).proxy == nil)
    }

    @Test(arguments: [
        ("api.example", "example", true), ("api.example", ".example", true), ("example", ".example", false),
        ("notexample", "example", false), ("api.example", "*", true), ("api.example", "other, API.example", true),
        ("api.example", "example:6443", true), ("api.example", "example:1", false), ("10.1.2.3", "10.0.0.0/8", true),
        ("11.1.2.3", "10.0.0.0/8", false), ("fd00::1", "fd00::/8", true), ("10.1.2.3", "10.1.2.3", true),
        ("127.0.0.1", "", true), ("localhost", "", true), ("127.example", "", false),
        ("api.example", "*.example", true),
    ])
    func exceptionsAreGos(_ host: String, _ list: String, _ isExcepted: Bool) {
        #expect(ClusterProxy.isExcepted(host, 6443, by: list) == isExcepted)
    }
}
