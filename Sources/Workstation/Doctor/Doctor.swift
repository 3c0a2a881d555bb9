import CLinux
import ControlAPI
import Glibc
import NIOPosix

/// Looks for what keeps a session from working on this machine, from the configuration up to the manager.
package struct Doctor: Sendable {
    private let settings: Result<SessionSettings, WorkstationError>
    private let report: @Sendable (DoctorFinding) -> Void

    /// `report` is given each finding as it comes.
    package init(
        settings: Result<SessionSettings, WorkstationError>, report: @escaping @Sendable (DoctorFinding) -> Void
    ) {
        self.settings = settings
        self.report = report
    }

    /// Everything, in the order in which one thing needs another.
    package func examine() async {
        configuration()
        await onThread {
            resolver()
            privileges()
            namespaces()
            device()
            leftovers()
        }
        await sessions()
        guard case .success(let settings) = settings else {
            return await onThread { routes(nil) }
        }
        let cluster = await ManagerCheck(settings: settings, report: report).run()
        await onThread { routes(cluster) }
    }

    private func onThread(_ body: @escaping @Sendable () -> Void) async {
        try? await NIOThreadPool.singleton.runIfActive(body)
    }

    private func found(
        _ check: String, _ verdict: DoctorFinding.Verdict, _ text: String, advice: String? = nil
    ) {
        report(DoctorFinding(check, verdict, text, advice: advice))
    }

    // MARK: This machine

    private func configuration() {
        let file = ConfigFile.path ?? "no home directory"
        switch settings {
        case .success:
            let isThere = access(file, F_OK) == 0
            found("config", .ok, isThere ? file : "\(file) is not there; all is as by default")
        case .failure(let error):
            found("config", .problem, error.text, advice: "telepresence config --help shows what may be there")
        }
    }

    private func resolver() {
        let file = ResolvConfFile()
        let conf = file.read()
        let servers = conf.servers()
        var resolved = SystemdResolved()
        let way = resolved == nil ? file.path : "systemd-resolved (\(resolved?.resolvConfMode() ?? "older"))"
        guard !servers.isEmpty else {
            return found(
                "resolver", .warning, "\(file.path) names no server",
                advice: "public names are not found, with or without a session: fix the machine's resolver first")
        }
        let silent = servers.filter { !ServerCheck.answers($0) }
        let list = servers.map(\.description).joined(separator: ", ")
        guard silent.isEmpty else {
            return found(
                "resolver", .warning, "no answer from \(silent.map(\.description).joined(separator: ", ")) (\(way))",
                advice: "public names are slow or not found: fix the machine's resolver, or its network")
        }
        found("resolver", .ok, "\(way), which asks \(list)")
    }

    private func privileges() {
        guard geteuid() != 0 else { return found("root", .ok, "this is root, which the full mode needs") }
        let directories = UserFiles.environment("PATH")?.split(separator: ":") ?? []
        if directories.contains(where: { access("\($0)/sudo", X_OK) == 0 }) {
            found("root", .ok, "sudo is there for the full mode")
        } else {
            found(
                "root", .warning, "there is no sudo: the full mode is for root here",
                advice: "telepresence connect --rootless -- COMMAND and --socks PORT need no root")
        }
    }

    private func namespaces() {
        let code = -clinux_try_namespaces()
        guard code != 0 else { return found("namespaces", .ok, "users may make them: --rootless works") }
        found(
            "namespaces", .warning, "users may not make them: \(SystemError.text(code))",
            advice: NetworkNamespace.hint(of: code) ?? "--rootless does not work here; --socks PORT does")
    }

    private func device() {
        let descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC)
        guard descriptor < 0 else {
            close(descriptor)
            return found("tun", .ok, "/dev/net/tun can be opened")
        }
        let code = errno
        let advice =
            switch code {
            case EACCES, EPERM: "sudo chmod 0666 /dev/net/tun; the full mode works all the same"
            default: "sudo modprobe tun, or in a container: --device /dev/net/tun; --socks PORT works without"
            }
        found("tun", .warning, "/dev/net/tun: \(SystemError.text(code))", advice: advice)
    }

    private func routes(_ cluster: DaemonStatus.Cluster?) {
        do {
            var netlink = try NetlinkSocket()
            let existing = try netlink.routes()
            let ways = existing.filter { $0.isDefault && $0.gateway != nil }
            let way = ways.first.map { "\($0)" } ?? "no default route"
            guard case .success(let settings) = settings,
                let request = try? NetworkRequest(settings, cluster, manager: nil, sshConnection: nil)
            else { return found("routes", .ok, way) }
            // A session that runs has its routes there already.
            let others = existing.filter { $0.protocol != KernelRoute.ownProtocol }
            let conflicts = RouteConflict.find(
                wanted: request.routes, device: "tel0", existing: others,
                protected: .init(
                    dnsServers: ResolvConfFile().read().servers().filter { !$0.isLoopback },
                    managerAddresses: [], sshClient: nil),
                allowedOverlaps: request.allowedOverlaps)
            guard conflicts.isEmpty else {
                return found(
                    "routes", .warning,
                    conflicts.map { "\($0)".split(separator: "\n").joined(separator: ";") }.joined(separator: "; "),
                    advice: "name what is to lead into the cluster in 'routes: subnets:', or what is not in never-proxy"
                )
            }
            found(
                "routes", .ok, "\(way); nothing overlaps \(request.routes.map(\.description).joined(separator: ", "))")
        } catch {
            found("routes", .warning, "\(error)", advice: "the full mode does not work here")
        }
    }

    // MARK: Sessions

    private func leftovers() {
        let network = Leftovers.find()
        for item in network.items {
            found(
                "leftovers", .problem, "of session \(item.session): \(item)",
                advice: geteuid() == 0 ? "telepresence doctor --fix" : "sudo telepresence doctor --fix")
        }
        let files = StaleFiles.find()
        for file in files {
            found("leftovers", .warning, "\(file), of a daemon that is gone", advice: "telepresence doctor --fix")
        }
        if network.isEmpty, files.isEmpty { found("leftovers", .ok, "none") }
    }

    private func sessions() async {
        for name in DaemonPaths.names {
            guard let client = try? DaemonClient(name: name), client.isRunning else { continue }
            do {
                guard let status = try await client.status() else { continue }
                let problems = status.probes.compactMap { probe in
                    probe.error.map { "\(probe.layer.rawValue): \($0)" }
                }
                switch status.health {
                case .healthy: found("session \(name)", .ok, "connected to \(status.manager)")
                case .degraded, .notConnected:
                    found(
                        "session \(name)", .problem,
                        "\(status.state.rawValue): "
                            + (problems.isEmpty ? status.error ?? "" : problems.joined(separator: "; ")),
                        advice: "telepresence logs --name \(name) tells more")
                }
            } catch {
                found(
                    "session \(name)", .problem, "\(error)",
                    advice: "telepresence quit --name \(name) ends it, also when it does not answer")
            }
        }
    }

    /// Removes what sessions left behind.
    package static func fix() -> [DoctorFinding] {
        var done = StaleFiles.remove().map { DoctorFinding("fixed", .ok, "removed \($0)") }
        let network = Leftovers.find()
        guard !network.isEmpty else { return done }
        guard geteuid() == 0 else {
            return done + [
                DoctorFinding(
                    "leftovers", .problem, "what is left of the network can be removed by root only",
                    advice: "sudo telepresence doctor --fix")
            ]
        }
        let failures = network.remove()
        for failure in failures { done.append(DoctorFinding("leftovers", .problem, failure.text)) }
        if failures.isEmpty {
            done += network.items.map { DoctorFinding("fixed", .ok, "undid \($0) of session \($0.session)") }
        }
        return done
    }
}
