import SSHProtocol

extension Target {
    /// Fixed, so that what is found is found again.
    private static let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJGhTtAqx3vIpG1CE9SrUcxZvjsQstTEVb1ZH7DnoUOs"
    private static let key = try? PublicKey(openSSH: line)

    static let files: [Target] = [
        Target(name: "authorized-keys") {
            [
                """
                # a comment
                restrict,port-forwarding,permitopen="hello:80",permitlisten="localhost:*" \(line) me
                from="10.0.0.0/8,!10.9.*",expiry-time="20400101Z",command="say \\"hi\\"" \(line)
                cert-authority,principals="a,b",no-pty,environment="A=b",tunnel="any" \(line)
                """
            ].map { Array($0.utf8) }
        } run: { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            let keys = AuthorizedKeys(parsing: text, file: "file")
            precondition(keys.diagnostics.allSatisfy { line in line.utf8.allSatisfy { $0 != 0x0a && $0 != 0x1b } })
            for address in ["10.0.0.1", "2001:db8::1", "not an address"] {
                let source = SourceAddress(address)
                let check = SignatureCheck.valid(userPresence: true, userVerification: true)
                guard let key else { return }
                let decision = keys.authorize(key: key, user: "a", source: source, now: 1, check: check)
                guard case .allowed(let permissions, _) = decision else { continue }
                precondition(text.contains(line), "a key was let in that is not listed")
                _ = permissions.permitsOpen(host: "hello", port: 80)
                _ = permissions.permitsListen(host: "", port: 0)
            }
        },
        Target(name: "known-hosts") {
            [
                """
                manager,[manager]:8022,*.example.com,!bad.example.com \(line)
                |1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= \(line)
                @revoked * \(line)
                """
            ].map { Array($0.utf8) }
        } run: { bytes in
            let hosts = KnownHosts(parsing: String(decoding: bytes, as: UTF8.self), file: "file")
            guard let key else { return }
            _ = hosts.lookup(host: "manager", port: 8022, key: key)
            _ = hosts.lookup(host: "a.example.com", port: 22, key: key)
        },
    ]
}
