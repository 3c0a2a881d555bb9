import NIOCore
import Testing

@testable import SSHProtocol

/// The tables were taken from sshd 9.2 by logging in with each line, from 127.0.0.1; where this is stricter, it says so.
@Suite struct AuthorizedKeysTests {
    static let now: Int64 = 1_795_000_000
    static let key = KeyFixtures.ed25519Public

    static func decision(
        _ line: String, key: String = KeyFixtures.ed25519Public, user: String = "dev", from: String = "127.0.0.1",
        now: Int64 = now, check: SignatureCheck? = .valid(userPresence: true, userVerification: true)
    ) throws -> AuthorizationDecision {
        let keys = AuthorizedKeys(parsing: line, file: "authorized_keys")
        let key = try PublicKey(openSSH: key)
        return keys.authorize(key: key, user: user, source: SourceAddress(from), now: now, check: check)
    }

    static func permissions(_ options: String) throws -> KeyPermissions? {
        guard case .allowed(let permissions, _) = try decision(options.isEmpty ? key : "\(options) \(key)") else {
            return nil
        }
        return permissions
    }

    static let accepted = [
        "", "restrict", "restrict,pty", "RESTRICT", "restrict,", "restrict,,pty", ",restrict",
        "command=\"echo forced\"",
        "command=\"\"", "command=\"echo \\\"q\\\" x\"", "Command=\"echo forced\"", "command=\"a\",",
        "from=\"127.0.0.1\"", "from=\"127.0.0.0/8\"", "from=\"127.*\"", "from=\"127.0.0.?\"", "from=\"*\"",
        "from=\"0.0.0.0/0\"", "from=\"127.0.0.1/32\"", "from=\"127.0.0.1/032\"", "from=\"*.*.*.*\"",
        "from=\"0.0.0.0/8,127.0.0.1\"", "from=\"! 127.0.0.1,*\"", "expiry-time=\"20400101\"",
        "expiry-time=\"20400101Z\"", "expiry-time=\"204001011200Z\"", "expiry-time=\"20400101120000\"",
        "expiry-time=\"20400101120000UTC\"", "expiry-time=\"20400101z\"", "expiry-time=\"20400101utc\"",
        "expiry-time=\"20400101235960Z\"", "environment=\"A=b\"", "environment=\"A_1=c\",environment=\"B=d\"",
        "permitopen=\"a:1\"", "permitopen=\":1\"", "permitopen=\"a:*\"", "permitopen=\"[::1]:1\"",
        "permitopen=\"a/1\"", "permitopen=\"a:01\"", "permitopen=\"a b:1\"", "permitlisten=\"1\"",
        "permitlisten=\"*\"", "permitlisten=\"a:1\"", "permitlisten=\":1\"", "tunnel=\"1\"", "tunnel=\"any\"",
        "tunnel=\"ANY\"", "no-touch-required", "verify-required", "no-verify-required", "touch-required",
        "port-forwarding,agent-forwarding,x11-forwarding,pty,user-rc",
        "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-pty,no-user-rc", "X11-FORWARDING", "NO-PTY",
    ]

    @Test(arguments: accepted) func acceptsWhatSSHDAccepts(options: String) throws {
        #expect(try Self.permissions(options) != nil)
    }

    static let refused = [
        "restrict, pty", "nonsense", "no-restrict", "restrictx", "cert-authority", "no-cert-authority",
        "command=\"echo forced\",command=\"echo two\"", "command=echo", "command=\"echo forced", "command",
        "no-command=\"a\"", "from=\"10.0.0.1\"", "from=\"127.0.0.1/8\"", "from=\"!127.0.0.1,*\"",
        "from=\"*,!127.0.0.1\"", "from=\"\"", "from=\"127.0.0.1,\"", "from=\",127.0.0.1\"",
        "from=\"10.0.0.0/33,127.0.0.1\"", "from=\"127.0.0.1,10.0.0.0/33\"", "from=\"!127.0.0.0/8\"",
        "from=\"LOCALHOST\"", "from=\"localhost\"", "from=\"!127.1,*\"", "from=\"127.0.0.1\" ,pty",
        "from=\"127.0.0.1\",from=\"127.0.0.1\"", "from=\"::/0\"", "from=\"!127.000.000.001,*\"",
        "from=\"127.0.0.0/8 \"", "from=\"!10.0.0.1\"", "from=\"[127].0.0.1\"", "from=\"!*\"",
        "from=\"!!127.0.0.1\"", "from=\"127.0.0.0/0\"", "from=\"127.0.0.1/33\"", "from=\"127.0.0.1/-1\"",
        "from=\"127.0.0.1/\"", "from=\" 127.0.0.1\"", "expiry-time=\"20200101\"", "expiry-time=\"2040010112Z\"",
        "expiry-time=\"20401301\"", "expiry-time=\"20400132\"", "expiry-time=\"19700101Z\"",
        "expiry-time=\"20400101\",expiry-time=\"20200101\"", "expiry-time=\"20200101\",expiry-time=\"20400101\"",
        "expiry-time=\"\"", "expiry-time=\"0\"", "expiry-time=\"20400101 \"", "expiry-time=\"204001012400Z\"",
        "expiry-time=20400101", "expiry-time=\"+2040101\"", "principals=\"dev\"", "cert-authority,principals=\"dev\"",
        "environment=\"=b\"", "environment=\"A\"", "environment=\"A-B=c\"", "permitopen=\"a\"", "permitopen=\"a:0\"",
        "permitopen=\"a:65536\"", "permitopen=\"::1:1\"", "permitopen=\"[::1:1\"", "permitopen=\"1\"",
        "permitopen=\"a:1 \"", "permitopen=\"[a]1\"", "permitopen=\"[a]b:1\"", "permitopen=\"a:1:2\"",
        "permitopen=\"\"", "permitlisten=\"0\"", "permitlisten=\"a/1\"", "permitlisten=\"\"", "tunnel=\"x\"",
        "tunnel=\"-1\"", "tunnel=\"1:2\"", "tunnel=\"\"", "pty \"x\"", "\"x\"", "no-pty,\"x\"", "no-pty=1",
        "no-pty=\"1\"", "no-pty;restrict", "\\\"", "no-pty,\trestrict", "ssh-ed25519", "ssh-rsa",
    ]

    @Test(arguments: refused) func refusesWhatSSHDRefuses(options: String) throws {
        #expect(try Self.permissions(options) == nil)
    }

    /// What sshd accepts and this does not: other spellings of addresses, names of ports, days that do not exist.
    static let stricter = [
        "from=\"127.1\"", "from=\"!127.0.0.1/,*\"", "expiry-time=\"20400231\"", "permitopen=\"a:http\"",
        "permitopen=\"a:+1\"", "permitlisten=\"http\"",
    ]

    @Test(arguments: stricter) func refusesMoreThanSSHD(options: String) throws {
        #expect(try Self.permissions(options) == nil)
    }

    @Test(arguments: [
        ("", true), ("restrict", false), ("no-port-forwarding", false), ("restrict,port-forwarding", true),
        ("port-forwarding,restrict", false), ("restrict,permitopen=\"127.0.0.1:9\"", false),
        ("permitlisten=\"9\"", true), ("permitopen=\":9\"", false), ("permitopen=\"*:*\"", true),
        ("permitopen=\"[*]:9\"", true), ("permitopen=\"none:1\"", false), ("permitopen=\"127.0.0.1:9\"", true),
        ("permitopen=\"localhost:9\"", false), ("permitopen=\"127.0.0.*:9\"", false),
        ("permitopen=\"[127.0.0.1]:9\"", true), ("permitopen=\"127.0.0.1/9\"", true),
        ("permitopen=\"127.0.0.1:*\"", true), ("permitopen=\"127.0.0.1:8\"", false),
        ("permitopen=\"a:1\",permitopen=\"127.0.0.1:9\"", true),
    ])
    func opensWhatSSHDOpens(options: String, isOpened: Bool) throws {
        let permissions = try #require(try Self.permissions(options))
        #expect((permissions.permitsOpen(host: "127.0.0.1", port: 9) == nil) == isOpened)
    }

    @Test(arguments: [
        ("localhost:9", "localhost", true), ("localhost:9", "LOCALHOST", false), ("localhost:9", "localhost.", false),
        ("LOCALHOST:9", "localhost", false), ("LOCALHOST:9", "LOCALHOST", true), ("l*:9", "localhost", false),
        ("[::1]:9", "::1", true), ("[::1]:9", "0:0:0:0:0:0:0:1", false), ("127.0.0.1:9", "127.0.0.01", false),
        ("*:9", "anything at all", true), (":9", "", true),
        // One workload's files are some of those of all.
        ("sftp.telepresence:9", "hello.default:app.sftp.telepresence", true),
        ("hello:9", "hello.sftp.telepresence", false), ("telepresence:9", "sftp.telepresence", false),
        // Swift takes these for equal strings: a Kelvin sign, and an é in two parts.
        ("K:9", "\u{212a}", false), ("\u{e9}:9", "e\u{301}", false),
    ])
    func comparesHostsByteForByte(rule: String, host: String, isOpened: Bool) throws {
        let permissions = try #require(try Self.permissions("permitopen=\"\(rule)\""))
        #expect((permissions.permitsOpen(host: host, port: 9) == nil) == isOpened)
        #expect(permissions.permitsOpen(host: host, port: 10) != nil)
        #expect(permissions.permitsStreamLocal() == nil)
        #expect(permissions.permitsListen(host: host, port: 9) == nil)
    }

    /// `localhost` is what ssh sends for `-R 22101:…`, the empty string for `-R :22101:…` and `-R *:22101:…`.
    @Test(arguments: [
        ("22101", "localhost", 22101, true), ("22101", "localhost", 22102, false), ("22101", "localhost", 0, false),
        ("22101", "", 22101, true), ("22101", "127.0.0.1", 22101, true), ("22101", "::1", 22101, true),
        ("localhost:22101", "localhost", 22101, true), ("localhost:22101", "LOCALHOST", 22101, true),
        ("localhost:22101", "127.0.0.1", 22101, false), ("localhost:22101", "", 22101, false),
        ("LOCALHOST:22101", "localhost", 22101, false), ("LOCALHOST:22101", "LOCALHOST", 22101, false),
        ("local*:22101", "localhost", 22101, true), ("l?calhost:22101", "localhost", 22101, true),
        ("127.0.0.*:22101", "127.0.0.1", 22101, true), ("127.0.0.*:22101", "localhost", 22101, false),
        ("*", "localhost", 22101, true), ("*", "localhost", 0, true), ("*:*", "localhost", 0, true),
        ("localhost:*", "localhost", 0, true), ("localhost:*", "127.0.0.1", 22101, false),
        (":22101", "localhost", 22101, false), (":22101", "", 22101, true), ("[::1]:22101", "::1", 22101, true),
        ("[::1]:22101", "localhost", 22101, false), ("*:22101", "0.0.0.0", 22101, true),
        ("!localhost:22101", "localhost", 22101, false), ("!localhost:22101", "127.0.0.1", 22101, false),
        ("localhost,127.0.0.1:22101", "localhost", 22101, false),
        ("127.0.0.1:22101\",permitlisten=\"22102", "127.0.0.1", 22101, true),
        ("127.0.0.1:22101\",permitlisten=\"22102", "localhost", 22101, false),
        ("127.0.0.1:22101\",permitlisten=\"22102", "localhost", 22102, true),
    ])
    func listensWhereSSHDListens(rule: String, host: String, port: UInt16, isPermitted: Bool) throws {
        let permissions = try #require(try Self.permissions("permitlisten=\"\(rule)\""))
        #expect((permissions.permitsListen(host: host, port: port) == nil) == isPermitted)
        #expect(permissions.permitsOpen(host: "a", port: 1) == nil)
    }

    @Test func saysWhichRuleRefuses() throws {
        let line = "# keys\n\npermitopen=\"hello:80\",permitlisten=\"8080\" \(Self.key)"
        guard case .allowed(let permissions, comment: "ed25519 key") = try Self.decision(line) else {
            Issue.record("refused")
            return
        }
        #expect(
            permissions.permitsOpen(host: "redis", port: 6379)
                == OpenFailure(.administrativelyProhibited, "permitopen of line 3 does not list redis:6379"))
        #expect(
            permissions.permitsOpen(host: "::1\n", port: 1)?.text == "permitopen of line 3 does not list [::1?]:1")
        #expect(
            permissions.permitsListen(host: "localhost", port: 1)?.text
                == "permitlisten of line 3 does not list localhost:1")
        let restricted = try #require(try Self.permissions("restrict"))
        #expect(restricted.permitsOpen(host: "a", port: 1)?.text == "line 1 does not permit port forwarding")
        #expect(restricted.permitsListen(host: "a", port: 1)?.text == "line 1 does not permit port forwarding")
        #expect(restricted.permitsStreamLocal()?.text == "line 1 does not permit port forwarding")
    }

    @Test func keepsWhatTheOptionsSay() throws {
        let restricted = try #require(try Self.permissions("restrict,pty,command=\"manager \\\"status\\\"\""))
        #expect(restricted.isRestricted && restricted.permitsPTY && !restricted.permitsAgentForwarding)
        #expect(!restricted.permitsX11Forwarding && !restricted.permitsUserRC && !restricted.permitsPortForwarding)
        #expect(restricted.forcedCommand == "manager \"status\"")
        let expiring = try #require(
            try Self.permissions("expiry-time=\"20400102Z\",expiry-time=\"20400101000001Z\",expiry-time=\"20410101Z\""))
        #expect(expiring.expires == 2_208_988_801)
        let bare = try #require(try Self.permissions(""))
        #expect(bare == KeyPermissions(origin: "line 1"))
    }

    /// sshd: `valid_before < now` refuses.
    @Test func expiresOnTheSecond() throws {
        let line = "expiry-time=\"20260101Z\" \(Self.key)"
        guard case .allowed = try Self.decision(line, now: 1_767_225_600) else {
            Issue.record("refused at the second itself")
            return
        }
        #expect(try Self.decision(line, now: 1_767_225_601) == .refused("line 1: key has expired"))
    }

    @Test(arguments: [
        ("from=\"10.0.0.0/8\"", "line 1: from= does not list 127.0.0.1"),
        (
            "from=\"10.0.0.1/8\"",
            "line 1: from= is malformed, expected patterns, addresses and ranges, with commas between"
        ),
        ("expiry-time=\"20200101Z\"", "line 1: key has expired"),
        ("cert-authority", "line 1: key is a cert-authority, which does not log in itself"),
        ("principals=\"dev\"", "line 1: principals= without cert-authority"),
    ])
    func saysWhyAKeyIsRefused(options: String, reason: String) throws {
        #expect(try Self.decision("\(options) \(Self.key)") == .refused(reason))
    }

    @Test func saysThatAKeyIsNotListed() throws {
        #expect(
            try Self.decision(KeyFixtures.rsaPublic)
                == .refused("no line lists the key \(KeyFixtures.ed25519Fingerprint)"))
        #expect(try Self.decision("") == .refused("no line lists the key \(KeyFixtures.ed25519Fingerprint)"))
        #expect(
            try Self.decision(Self.key, check: .invalid)
                == .refused("signature of \(KeyFixtures.ed25519Fingerprint) is not valid"))
    }

    /// The first line that lists the key and does not refuse decides; every refusal is told.
    @Test func triesLaterLines() throws {
        let text = """
            from="10.0.0.1" \(Self.key)
            nonsense \(Self.key)
            permitopen="a:1" \(Self.key)
            \(Self.key)
            """
        guard case .allowed(let permissions, _) = try Self.decision(text) else {
            Issue.record("refused")
            return
        }
        #expect(permissions.origin == "line 3" && permissions.permitOpen?.count == 1)
        let refusing = "from=\"10.0.0.1\" \(Self.key)\nexpiry-time=\"20200101Z\" \(Self.key)"
        #expect(
            try Self.decision(refusing)
                == .refused("line 1: from= does not list 127.0.0.1; line 2: key has expired"))
    }

    @Test func tellsWhatItLeavesOut() {
        let text = """
            # a comment
              \(Self.key)
            nonsense \(Self.key)
            ssh-ed25519 AAAA broken
            permitopen="x" \(Self.key)
            command="unclosed \(Self.key)
            hello
            \(PEMFixtures.rsa1024Public)
            \(PEMFixtures.dsaPublic)
            \(CertificateFixtures.basic)

            ecdsa-sha2-nistp256 \(Self.key.split(separator: " ")[1])
            """
        let keys = AuthorizedKeys(parsing: text, file: "/etc/keys")
        #expect(keys.entries.map(\.line) == [2])
        #expect(
            keys.diagnostics == [
                "/etc/keys:3: unknown key option nonsense",
                "/etc/keys:4: key blob is cut short, expected a key type",
                "/etc/keys:5: permitopen=\"x\", expected host:port, where the port is a number or *",
                "/etc/keys:6: options have no closing quote",
                "/etc/keys:7: no key found, expected [options] keytype base64 [comment], such as ssh-ed25519 AAAA…",
                "/etc/keys:8: RSA key has 1024 bits, expected 2048 to 16384",
                "/etc/keys:9: key type ssh-dss is not supported",
                "/etc/keys:10: a certificate, expected a key, or cert-authority and the key that signs certificates",
                "/etc/keys:12: key is a ssh-ed25519, not the ecdsa-sha2-nistp256 named beside it",
            ])
    }

    @Test func readsLinesAsTheyAreFoundInFiles() throws {
        let text = "\t \(Self.key)  \r\nrestrict\t\(KeyFixtures.rsaPublic)\r\n  # x\r\n\r\n"
        let keys = AuthorizedKeys(parsing: text, file: "k")
        #expect(keys.diagnostics.isEmpty && keys.entries.count == 2)
        #expect(keys.entries.map(\.comment) == ["ed25519 key  ", "rsa key"])
        #expect(keys.entries.last?.permissions.isRestricted == true)
    }

    @Test func boundsLinesAndFiles() {
        let filler = String(repeating: "x", count: AuthorizedKeys.maximumLineLength)
        let long = AuthorizedKeys(parsing: "\(Self.key)\(filler)\n\(Self.key)", file: "k")
        #expect(long.entries.map(\.line) == [2])
        #expect(long.diagnostics == ["k:1: line is too long, expected at most 8192 bytes"])
        let huge = String(repeating: Self.key + "\n", count: AuthorizedKeys.maximumFileLength / Self.key.utf8.count + 1)
        let keys = AuthorizedKeys(parsing: huge, file: "k")
        #expect(keys.entries.isEmpty && keys.diagnostics.count == 1)
        let zero = AuthorizedKeys(parsing: "from=\"10.0.0.1\0\" \(Self.key)", file: "k")
        #expect(zero.entries.isEmpty && zero.diagnostics == ["k:1: line has a zero byte"])
    }

    static let options = [
        "restrict", "pty", "from=\"10.0.0.0/8,!10.9.0.0/16\"", "permitopen=\"a:1\"", "permitlisten=\"1\"",
        "expiry-time=\"20300101Z\"", "command=\"say \\\"hi, you\\\"\"",
    ]

    /// A line that lost its tail is taken only where whole options are left.
    @Test func takesNoPartOfAnOption() throws {
        let text = Self.options.joined(separator: ",")
        var whole: Set<String> = [""]
        for count in 1...Self.options.count {
            let prefix = Self.options.prefix(count).joined(separator: ",")
            whole.formUnion([prefix, prefix + ","])
        }
        for length in 0...text.utf8.count {
            let prefix = String(decoding: text.utf8.prefix(length), as: UTF8.self)
            let keys = AuthorizedKeys(parsing: "\(prefix) \(Self.key)", file: "k")
            #expect(keys.entries.isEmpty != whole.contains(prefix), "\(prefix)")
        }
    }

    /// A stray byte outside of the quotes makes the line unreadable.
    @Test func takesNoStrayByte() throws {
        let text = Array(Self.options.joined(separator: ",").utf8)
        var isQuoted = false
        for (position, byte) in text.enumerated() {
            defer { if byte == UInt8(ascii: "\""), text[position - 1] != UInt8(ascii: "\\") { isQuoted.toggle() } }
            guard !isQuoted else { continue }
            for stray in [0, 1, 0x20, 0x21, 0x22, 0x3b, 0x3d, 0x5c, 0x7f, 0x80, 0xff] as [UInt8] {
                var altered = text
                altered.insert(stray, at: position)
                let line = String(decoding: altered + [0x20] + Array(Self.key.utf8), as: UTF8.self)
                // A blank before the first option stands at the start of the line, where it is allowed.
                if position == 0 && stray == 0x20 { continue }
                #expect(AuthorizedKeys(parsing: line, file: "k").entries.isEmpty, "\(line)")
            }
        }
    }

    /// Adding an option that takes something away never gives anything.
    @Test(arguments: 0..<4) func neverGrantsMoreForARestrictionMore(seed: UInt64) throws {
        let restrictions = [
            "restrict", "no-port-forwarding", "no-pty", "from=\"10.0.0.0/8\"", "from=\"!10.0.0.1,*\"", "from=\"\"",
            "expiry-time=\"20300101Z\"", "expiry-time=\"20200101Z\"", "command=\"status\"", "verify-required",
            "principals=\"dev\"", "nonsense", "permitopen=\"b:2\"", "permitlisten=\"2\"",
        ]
        let base = [
            "", "pty", "restrict,port-forwarding", "permitopen=\"*:1\"", "permitlisten=\"*:1\"", "restrict,pty",
        ]
        var random = SplitMix(state: seed)
        for _ in 0..<50 {
            var list = [base.randomElement(using: &random) ?? ""]
            let key = try PublicKey(openSSH: Self.key)
            var before = Grants(AuthorizedKeys(parsing: "\(list[0]) \(Self.key)", file: "k"), key)
            for _ in 0..<4 {
                let restriction = restrictions.randomElement(using: &random) ?? ""
                // A second permit of a kind adds to the first: that is what it is for.
                let name = restriction.prefix { $0 != "=" }
                if name.hasPrefix("permit"), list.contains(where: { $0.hasPrefix(name) }) { continue }
                list.append(restriction)
                let line = list.filter { !$0.isEmpty }.joined(separator: ",")
                let after = Grants(AuthorizedKeys(parsing: "\(line) \(Self.key)", file: "k"), key)
                #expect(after.granted.isSubset(of: before.granted), "\(line)")
                before = after
            }
        }
    }

    /// What a key is granted, from a few places, times and signatures.
    struct Grants {
        var granted: Set<String> = []

        init(_ keys: AuthorizedKeys, _ key: PublicKey) {
            for source in ["10.0.0.1", "10.0.0.2", "192.0.2.1", "2001:db8::1"] {
                for now in [0, AuthorizedKeysTests.now, 1_900_000_000] as [Int64] {
                    for isVerified in [false, true] {
                        let decision = keys.authorize(
                            key: key, user: "dev", source: SourceAddress(source), now: now,
                            check: .valid(userPresence: true, userVerification: isVerified))
                        guard case .allowed(let permissions, _) = decision else { continue }
                        let place = "\(source) \(now) \(isVerified)"
                        granted.insert("\(place) login")
                        if permissions.permitsPTY { granted.insert("\(place) pty") }
                        if permissions.forcedCommand == nil { granted.insert("\(place) any command") }
                        if permissions.permitsStreamLocal() == nil { granted.insert("\(place) unix") }
                        for (host, port) in [("a", 1), ("b", 2), ("localhost", 2)] as [(String, UInt16)] {
                            if permissions.permitsOpen(host: host, port: port) == nil {
                                granted.insert("\(place) open \(host):\(port)")
                            }
                            if permissions.permitsListen(host: host, port: port) == nil {
                                granted.insert("\(place) listen \(host):\(port)")
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A generator with a seed, so that a failure comes again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
