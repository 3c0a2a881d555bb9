import ControlAPI
import Glibc

/// What a command in a session finds in its environment.
enum SessionEnvironment {
    /// Where only proxies lead into the cluster, programs are told of them in the ways they know.
    static func set(for status: DaemonStatus) {
        for (name, value) in proxies(for: status) { setenv(name, value, 1) }
    }

    static func proxies(for status: DaemonStatus) -> [(name: String, value: String)] {
        guard status.mode == .socks, let proxy = status.proxies.first else { return [] }
        // Several programs take the one in capitals, curl the other for http alone; those that know SOCKS take ALL_PROXY.
        return ["ALL_PROXY", "all_proxy"].map { ($0, "socks5h://\(proxy)") }
            + ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"].map { ($0, "http://\(proxy)") }
    }

    /// What is run so that the command is in the session: one of a rootless session enters its namespace first.
    static func command(_ command: [String], in status: DaemonStatus) -> [String] {
        guard status.mode == .rootless, let holder = status.namespaceHolder else { return command }
        return ["/proc/self/exe", "network-helper", "--enter", holder, "--"] + command
    }
}
