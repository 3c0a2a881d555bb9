package import SSHClient

/// One `-L`, `-R` or `-D` as ssh(1) writes it.
package struct ForwardSpec: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        case local
        case remote
        case dynamic
    }

    /// Where connections are accepted: on the workstation for `-L` and `-D`, at the manager for `-R`.
    package enum Listen: Hashable, Sendable {
        /// `bind` is `nil` when none was given: loopback. The empty string and `*` mean every address.
        case tcp(bind: String?, port: UInt16)
        case unix(path: String)
    }

    /// Where connections lead: seen from the manager for `-L`, from the workstation for `-R`.
    package enum Target: Hashable, Sendable {
        case endpoint(ChannelTarget)
        /// Each connection says where to, in SOCKS: `-D`, and `-R` without a target.
        case socks
    }

    package var kind: Kind
    package var listen: Listen
    package var target: Target
    /// As it was given; what an error names.
    package var text: String

    package init(kind: Kind, listen: Listen, target: Target, text: String) {
        self.kind = kind
        self.listen = listen
        self.target = target
        self.text = text
    }

    package var flag: String {
        switch kind {
        case .local: "-L"
        case .remote: "-R"
        case .dynamic: "-D"
        }
    }

    /// What a remote forward asks the manager for (OpenSSH: `localhost` when no address is given, empty for any).
    package var remoteForward: RemoteForward {
        switch listen {
        case .unix(let path): .unix(path: path)
        case .tcp(nil, let port): .tcp(bind: "localhost", port: port)
        case .tcp("*"?, let port): .tcp(bind: "", port: port)
        case .tcp(let bind?, let port): .tcp(bind: bind, port: port)
        }
    }

    package var targetDescription: String {
        switch target {
        case .endpoint(let endpoint): endpoint.description
        case .socks: "SOCKS"
        }
    }
}
