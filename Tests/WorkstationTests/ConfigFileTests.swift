import ControlAPI
import Testing
import Workstation

@Suite struct ConfigFileTests {
    private static let whole = """
        manager: cluster.example:8023
        identity: ~/keys/id
        host-key: SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        user: dev
        namespace: shop
        log-level: debug
        dns:
          include-suffixes: [corp.example, .internal]
          exclude-suffixes: example.com
          mappings:
            - {name: db, alias-for: postgres.prod}
        routes:
          subnets: [10.42.0.0/16, "fd00::/48"]
          also-proxy: [192.0.2.1]
          never-proxy:
            - 10.42.9.0/24
        timeouts: {connect: 5s, keepalive: 500ms, probe: 2}
        contexts:
          staging:
            manager: staging.example
            known-hosts: /k
            routes: {never-proxy: []}
        """

    @Test func everythingIsRead() throws {
        let config = try ConfigFile(parsing: Self.whole, file: "config.yml")
        let settings = try SessionSettings(name: "default", mode: .full, config: config, arguments: ConfigLayer())
        #expect(settings.host == "cluster.example")
        #expect(settings.port == 8023)
        #expect(settings.user == "dev")
        #expect(settings.identity.hasSuffix("/keys/id") && settings.identity.hasPrefix("/"))
        #expect(settings.hostKeys.count == 1)
        #expect(settings.knownHosts == nil)
        #expect(settings.namespace == "shop")
        #expect(settings.logLevel == "debug")
        #expect(settings.dns.includeSuffixes == ["corp.example", ".internal"])
        #expect(settings.dns.excludeSuffixes == ["example.com"])
        #expect(settings.dns.mappings == [.init(name: "db", aliasFor: "postgres.prod")])
        #expect(settings.routes.subnets == ["10.42.0.0/16", "fd00::/48"])
        #expect(settings.routes.alsoProxy == ["192.0.2.1"])
        #expect(settings.routes.neverProxy == ["10.42.9.0/24"])
        #expect(settings.timeouts.connectMilliseconds == 5000)
        #expect(settings.timeouts.keepaliveMilliseconds == 500)
        #expect(settings.timeouts.probeMilliseconds == 2000)
    }

    @Test func aContextIsOverTheRestAndTheCommandLineOverBoth() throws {
        let config = try ConfigFile(parsing: Self.whole, file: "config.yml")
        var settings = try SessionSettings(name: "staging", mode: .socks, config: config, arguments: ConfigLayer())
        #expect(settings.managerURL == "ssh://staging.example:8022")
        #expect(settings.knownHosts == "/k")
        #expect(settings.hostKeys.isEmpty)
        #expect(settings.routes.neverProxy.isEmpty)
        #expect(settings.routes.subnets.count == 2)
        var arguments = ConfigLayer()
        arguments.manager = "[2001:db8::1]:22"
        arguments.hostKey = ["SHA256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"]
        settings = try SessionSettings(name: "staging", mode: .socks, config: config, arguments: arguments)
        #expect(settings.managerURL == "ssh://[2001:db8::1]:22")
        #expect(settings.knownHosts == nil)
        #expect(settings.hostKeys == arguments.hostKey)
    }

    @Test(arguments: ["", "\n", "# nothing\n", "---\n", "contexts:\n", "dns:\nroutes:\ntimeouts:\n"])
    func nothingIsEnough(_ text: String) throws {
        #expect(try ConfigFile(parsing: text, file: "config.yml") == ConfigFile())
    }

    @Test(arguments: [
        ("manager: a\nmangler: b\n", 2, "unknown key 'mangler'"),
        ("dns:\n  include: [a]\n", 2, "unknown key 'dns.include'"),
        ("dns:\n  mappings:\n    - name: a\n      alias: b\n", 4, "unknown key 'dns.mappings[0].alias'"),
        ("dns:\n  mappings:\n    - name: a\n", 3, "expected both name and alias-for"),
        ("contexts:\n  a:\n    contexts: {}\n", 3, "unknown key 'contexts.a.contexts'"),
        ("contexts:\n  a b: {}\n", 2, "is no name of a session"),
        ("manager: [a]\n", 1, "manager: expected a text of one line"),
        ("manager:\n", 1, "manager: expected a text of one line"),
        ("manager: a:99999\n", 1, "the port is no number"),
        ("user: a\nlog-level: loud\n", 2, "expected one of trace"),
        ("user: a\n\nroutes:\n  subnets:\n    - 10.0.0.0/8\n    - 10.0.0.1/8\n", 6, "expected a subnet"),
        ("routes: 5\n", 1, "routes: expected lines of KEY: VALUE"),
        ("timeouts: {probe: never}\n", 1, "expected a time"),
        ("timeouts: {probe: 0s}\n", 1, "expected a time"),
        ("host-key: MD5:aa\n", 1, "expected SHA256:"),
        ("known-hosts: /k\nhost-key: SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", 2, "exclude each other"),
        ("namespace: No_Such\n", 1, "expected a namespace"),
        ("- a\n", 1, "expected settings"),
        ("user: a\nuser: b\n", 1, "more than once: user"),
        ("user: a\n  b: [\n", 2, "not YAML"),
    ])
    func everyComplaintNamesItsLine(_ text: String, _ line: Int, _ problem: String) {
        do {
            _ = try ConfigFile(parsing: text, file: "config.yml")
            Issue.record("accepted: \(text)")
        } catch {
            #expect(error.exitCode == 2)
            #expect(error.text.hasPrefix("config.yml:\(line): "), "\(error.text)")
            #expect(error.text.contains(problem), "\(error.text)")
            #expect(!error.text.contains("\n"))
        }
    }

    @Test func whatIsViewedCanBeReadAgain() throws {
        let layer = try ConfigFile(parsing: Self.whole, file: "config.yml").settings(for: "default")
        let again = try ConfigFile(parsing: layer.yaml, file: "again")
        #expect(again.settings(for: "default") == layer)
        #expect(try JSON.encode(layer).contains("\"alias-for\":\"postgres.prod\""))
    }

    @Test func noManagerIsBadInput() {
        #expect(throws: WorkstationError.self) {
            try SessionSettings(name: "default", mode: .full, config: ConfigFile(), arguments: ConfigLayer())
        }
    }
}
