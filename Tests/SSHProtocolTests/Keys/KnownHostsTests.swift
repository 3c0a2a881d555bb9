import Testing

@testable import SSHProtocol

@Suite struct KnownHostsTests {
    static let key = KeyFixtures.ed25519Public
    static let other = KeyFixtures.ecdsa256Public

    /// Made by `ssh-keygen -H` for `manager.example.com` and `[manager.example.com]:8022`.
    static let hashed = """
        |1|ek2w+Rq+zBU72lRRV+wKueu7Ksk=|zf/1NB6uqocZBQ3fFFXvkJYqqgg= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJGhTtA\
        qx3vIpG1CE9SrUcxZvjsQstTEVb1ZH7DnoUOs
        |1|C3beG6EbQeDCFGw4XBqvAL8AUtA=|xpa/1Ru6ewh1l/nnmsC7FIKT9WM= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJGhTtA\
        qx3vIpG1CE9SrUcxZvjsQstTEVb1ZH7DnoUOs
        """

    static func lookup(
        _ text: String, host: String = "manager", port: UInt16 = 8022, key: String = key
    ) throws -> KnownHosts.Lookup {
        let hosts = KnownHosts(parsing: text, file: "known_hosts")
        #expect(hosts.diagnostics.isEmpty)
        return hosts.lookup(host: host, port: port, key: try PublicKey(openSSH: key))
    }

    @Test(arguments: [
        ("[manager]:8022 \(key)", KnownHosts.Lookup.match), ("[MANAGER]:8022 \(key)", .match),
        ("a,[manager]:8022,b \(key)", .match), ("[*]:8022 \(key)", .match), ("[man?ger]:8022 \(key)", .match),
        ("*,![manager]:8022 \(key)", .unknown), ("manager \(key)", .unknown), ("[manager]:22 \(key)", .unknown),
        ("", .unknown), ("# [manager]:8022 \(key)", .unknown), ("[manager]:8022 \(other)", .changed(line: 1)),
        ("\n[manager]:8022 \(other)\n[manager]:8022 \(key)", .match),
        ("[manager]:8022 \(key)\n@revoked * \(key)", .revoked(line: 2)),
        ("[manager]:8022 \(key)\n@revoked * \(other)", .match),
        ("@cert-authority * \(key)", .unknown), ("@revoked [other]:8022 \(key)", .unknown),
    ])
    func looksUp(text: String, expected: KnownHosts.Lookup) throws {
        #expect(try Self.lookup(text) == expected)
    }

    @Test func looksUpHashedNames() throws {
        for (host, port, key, expected) in [
            ("manager.example.com", 22, Self.key, KnownHosts.Lookup.match),
            ("Manager.Example.Com", 22, Self.key, .match), ("manager.example.com", 8022, Self.key, .match),
            ("manager.example.com", 22, Self.other, .changed(line: 1)), ("example.com", 22, Self.key, .unknown),
        ] as [(String, UInt16, String, KnownHosts.Lookup)] {
            #expect(try Self.lookup(Self.hashed, host: host, port: port, key: key) == expected)
        }
    }

    @Test func writesLinesItFindsAgain() throws {
        let key = try PublicKey(openSSH: Self.key)
        for (host, port, name) in [
            ("Manager", 8022, "[manager]:8022"), ("manager", 22, "manager"), ("::1", 8022, "[::1]:8022"),
        ] as [(String, UInt16, String)] {
            let line = KnownHosts.line(host: host, port: port, key: key)
            #expect(line == "\(name) \(key.openSSHLine)")
            #expect(try Self.lookup(line + "\n", host: host, port: port) == .match)
        }
    }

    @Test func listsTypes() {
        let hosts = KnownHosts(parsing: "m \(Self.other)\nm \(Self.key)\nn \(KeyFixtures.rsaPublic)", file: "k")
        #expect(hosts.keyTypes(host: "m", port: 22) == ["ecdsa-sha2-nistp256", "ssh-ed25519"])
    }

    @Test func tellsWhatItLeavesOut() {
        let hosts = KnownHosts(
            parsing: "m\nm ssh-ed25519 AAAA\n@new m \(Self.key)\n|1|a|b \(Self.key)\r\nm \(PEMFixtures.dsaPublic)",
            file: "known_hosts")
        #expect(
            hosts.diagnostics == [
                "known_hosts:1: line is cut short, expected hosts keytype base64 [comment]",
                "known_hosts:2: key blob is cut short, expected a key type",
                "known_hosts:3: unknown marker @new, expected @revoked or @cert-authority",
                "known_hosts:4: hashed host is malformed, expected |1|salt|hash",
                "known_hosts:5: key type ssh-dss is not supported",
            ])
    }
}
