import Testing

/// The program as it is run: what it prints, and what it exits with.
@Suite struct CommandTests {
    @Test func versionSaysWhatItSpeaks() async throws {
        let result = try await Command.run(["version"])
        #expect(result == .init(status: 0, output: "Client v0.5.0 (api v3)\n", error: ""))
    }

    @Test(arguments: [
        [], ["forward"], ["keygen"], ["ssh-config"], ["connect"], ["quit"], ["status"], ["version"], ["loglevel"],
        ["logs"], ["config"], ["config", "view"], ["doctor"],
    ])
    func helpHasExamples(_ words: [String]) async throws {
        let result = try await Command.run(words + ["--help"])
        #expect(result.status == 0)
        #expect(result.output.contains("EXAMPLES"))
    }

    @Test(arguments: [
        ["forward", "--manager", "m"], ["forward", "--manager", "m", "-L", "x"], ["forward", "-L", "1:h:2"],
        ["forward", "--manager", "m:99999", "-L", "1:h:2"], ["forward", "--manager", "-x", "-L", "1:h:2"],
        ["forward", "--manager", "m", "--host-key", "MD5:1", "-L", "1:h:2"], ["nonsense"],
        ["forward", "--manager", "m", "--host-key", "SHA256:1", "--known-hosts", "f", "-L", "1:h:2"],
        ["ssh-config", "--name", "a b"], ["keygen", "-C", "a\nb"],
        ["connect"], ["connect", "--manager", "-x"], ["connect", "--manager", "m", "--name", "a/b"],
        ["connect", "--manager", "m", "--socks", "x"], ["connect", "--manager", "m", "--socks", "99999"],
        ["connect", "--manager", "m", "--rootless"], ["connect", "--manager", "m", "--rootless", "--socks", "1"],
        ["connect", "--manager", "m", "--shell", "--", "true"], ["connect", "--manager", "m", "--namespace", "A"],
        ["connect", "--manager", "m", "--host-key", "x"], ["status", "--name", ""], ["status", "--output", "xml"],
        ["quit", "--name", "../x"], ["loglevel"], ["loglevel", "loud"], ["loglevel", "info", "--duration", "soon"],
        ["logs", "--lines", "-1"], ["config", "view", "--name", "a b"], ["daemon"],
        [
            "forward", "--manager", "127.0.0.1:1", "--identity", "/nowhere", "-L", "1:h:2", "--host-key",
            "SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ],
    ])
    func badInputIsTwo(_ words: [String]) async throws {
        let result = try await Command.run(words)
        #expect(result.status == 2)
        #expect(result.output.isEmpty)
        #expect(!result.error.isEmpty)
    }

    @Test func withoutADaemonThereIsNothingToQuit() async throws {
        #expect(try await Command.run(["quit"]) == .init(status: 0, output: "", error: ""))
        #expect(try await Command.run(["quit", "--all"]) == .init(status: 0, output: "", error: ""))
        #expect(try await Command.run(["status"]) == .init(status: 2, output: "Not connected\n", error: ""))
        let json = try await Command.run(["status", "--output", "json", "--name", "x"])
        #expect(json == .init(status: 2, output: "{\"name\":\"x\",\"state\":\"disconnected\"}\n", error: ""))
        #expect(try await Command.run(["loglevel", "debug"]).status == 2)
        #expect(try await Command.run(["logs"]).status == 1)
    }

    @Test func innerCommandsAreNotListed() async throws {
        let help = try await Command.run(["--help"]).output
        #expect(help.contains("  connect "))
        #expect(!help.contains("  daemon "))
        #expect(!help.contains("  network-helper "))
        #expect(try await Command.run(["--generate-completion-script", "bash"]).output.contains("connect"))
    }

    @Test func theConfigurationsDefaultsAreViewed() async throws {
        let text = try await Command.run(["config", "view"])
        #expect(text.status == 0)
        #expect(text.output.contains("log-level: info\n"))
        let json = try await Command.run(["config", "view", "--output", "json"])
        #expect(json.output.contains("\"log-level\":\"info\""))
    }

    @Test func keygenWritesAPairOnceAndNeverAgain() async throws {
        try await Command.inDirectory { directory in
            let file = directory + "/key"
            let first = try await Command.run(["keygen", "-f", file, "-C", "me"])
            #expect(first.status == 0)
            #expect(first.output.hasPrefix("ssh-ed25519 "))
            #expect(first.output.contains(" me\nSHA256:"))
            #expect(Command.mode(file) == 0o600)
            #expect(Command.mode(file + ".pub") == 0o644)
            let second = try await Command.run(["keygen", "-f", file])
            #expect(second.status == 1)
            #expect(second.error.contains("exists already"))
        }
    }

    @Test func sshConfigIsABlockForSSH() async throws {
        let result = try await Command.run([
            "ssh-config", "--manager", "[2001:db8::1]:8023", "--name", "m", "--user", "u", "--identity", "/k",
        ])
        #expect(result.status == 0)
        for line in [
            "Host m", "    HostName 2001:db8::1", "    Port 8023", "    User u", "    IdentityFile /k",
            "    IdentitiesOnly yes", "    ExitOnForwardFailure yes",
        ] {
            #expect(result.output.contains(line + "\n"))
        }
        #expect(result.output.contains("Ciphers aes128-gcm@openssh.com"))
    }

    @Test func anUnreachableManagerIsThree() async throws {
        try await Command.inDirectory { directory in
            let file = directory + "/key"
            _ = try await Command.run(["keygen", "-f", file])
            let result = try await Command.run([
                "forward", "--manager", "127.0.0.1:1", "--identity", file, "--host-key",
                "SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "-L", "0:hello:80",
            ])
            #expect(result.status == 3)
            #expect(result.error.contains("127.0.0.1:1: cannot reach the manager: Connection refused"))
        }
    }
}
