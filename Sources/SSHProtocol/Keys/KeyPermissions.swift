/// What a key may do once it has logged in: the options of its line in `authorized_keys`, merged with those of its
/// certificate (sshd(8), sshauthopt_merge).
package struct KeyPermissions: Hashable, Sendable {
    /// A `permitopen` or `permitlisten`: `nil` is the wildcard of a port.
    package struct HostPort: Hashable, Sendable {
        package var host: String
        package var port: UInt16?
    }

    /// Where the rules stand, for refusals: `line 3`.
    package var origin: String
    package var permitsPortForwarding = true
    /// Who withholds port forwarding, for refusals, where that is not `origin`.
    var portForwardingWithheldBy: String?
    package var permitsAgentForwarding = true
    package var permitsX11Forwarding = true
    package var permitsPTY = true
    package var permitsUserRC = true
    /// `restrict` was given, whatever was allowed again after it.
    package var isRestricted = false
    /// `nil` permits every destination.
    package var permitOpen: [HostPort]?
    /// `nil` permits every listener.
    package var permitListen: [HostPort]?
    /// The only command that may run, whatever the client asks for.
    package var forcedCommand: String?
    /// The workload whose traffic agent logs in with this key, as `name` or `name.namespace`, where `*` is any: it may do
    /// what an agent does, and nothing else.
    package var trafficAgent: String?
    /// Whether intercepts of others may be ended.
    package var isAdmin = false
    /// Seconds since 1970: the key, or its certificate, is good until then.
    package var expires: Int64?
    var requiresUserPresence = true
    var requiresUserVerification = false

    /// What a line without options permits: everything.
    package init(origin: String = "the key") {
        self.origin = origin
    }

    /// Whether a `direct-tcpip` channel may be opened: `nil`, or the refusal. The host is the string as it was sent,
    /// compared byte for byte (channels.c, `open_match`).
    package func permitsOpen(host: String, port: UInt16) -> OpenFailure? {
        if trafficAgent != nil {
            // What an agent needs, it may do whatever else the line withholds.
            let name = host.lowercased()
            let isAgents =
                name == "agent.telepresence" || name.hasSuffix(".intercept.telepresence")
                || name.hasSuffix(".stream.telepresence")
            return isAgents ? nil : OpenFailure(.administrativelyProhibited, "\(origin) is for a traffic agent")
        }
        if let refusal = permitsForwarding() { return refusal }
        guard let permitOpen else { return nil }
        // The files of one workload are some of those that `sftp.telepresence` has.
        let files = "sftp.telepresence"
        let names = host.hasSuffix(".\(files)") ? [host, files] : [host]
        let isListed = permitOpen.contains { rule in
            (rule.port == nil || rule.port == port)
                && (rule.host == "*" || names.contains { rule.host.utf8.elementsEqual($0.utf8) })
        }
        return isListed ? nil : refusal("permitopen", host: host, port: port)
    }

    /// Whether a `tcpip-forward` may be set up: `nil`, or the refusal. The bind address is the string as it was sent:
    /// `localhost` when ssh was given none, empty for all addresses. Port 0 needs the wildcard.
    package func permitsListen(host: String, port: UInt16) -> OpenFailure? {
        if let refusal = permitsForwarding() { return refusal }
        guard let permitListen else { return nil }
        // What follows a workload's name says how it is intercepted.
        let name = Array(host.utf8.prefix { $0 != UInt8(ascii: "?") }).lowercased
        let isListed = permitListen.contains { rule in
            (rule.port == nil || rule.port == port) && Pattern.matches(name, Array(rule.host.utf8))
        }
        return isListed ? nil : refusal("permitlisten", host: host, port: port)
    }

    /// Whether a workload's environment and files may be had, by one of its names: as its traffic, on any of its ports.
    /// `nil`, or the refusal.
    package func permitsWorkload(_ names: [String]) -> OpenFailure? {
        if let refusal = permitsForwarding() { return refusal }
        guard let permitListen else { return nil }
        let isListed = names.contains { name in
            permitListen.contains { Pattern.matches(Array(name.utf8).lowercased, Array($0.host.utf8)) }
        }
        return isListed
            ? nil
            : OpenFailure(
                .administrativelyProhibited, "permitlisten of \(origin) does not list \((names.first ?? "").printable)")
    }

    /// Whether unix sockets may be forwarded, either way: `nil`, or the refusal. As in sshd, `permitopen` and
    /// `permitlisten` say nothing about them.
    package func permitsStreamLocal() -> OpenFailure? { permitsForwarding() }

    private func permitsForwarding() -> OpenFailure? {
        if trafficAgent != nil { return OpenFailure(.administrativelyProhibited, "\(origin) is for a traffic agent") }
        if permitsPortForwarding { return nil }
        let withholder = portForwardingWithheldBy ?? origin
        return OpenFailure(.administrativelyProhibited, "\(withholder) does not permit port forwarding")
    }

    private func refusal(_ option: String, host: String, port: UInt16) -> OpenFailure {
        let shown = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host.printable)]" : host.printable
        return OpenFailure(.administrativelyProhibited, "\(option) of \(origin) does not list \(shown):\(port)")
    }
}
