import CLinux
import Glibc

/// A user, network and mount namespace of an ordinary user, where a session has the network for itself. The process that
/// makes one of these is in it from then on.
struct NetworkNamespace {
    /// Of the machine, as it was seen from outside.
    let outsideRoutes: [KernelRoute]
    let outside: ResolvConf
    /// Of /etc/resolv.conf here, once it is ours.
    private static let resolvConf = "/etc/resolv.conf"

    /// Everything goes into the tunnel; what is not the cluster's comes out of it on the machine's own network.
    static let routes = ["0.0.0.0/0", "::/0"].compactMap { NetworkPrefix($0) }

    init() throws(HelperError) {
        var netlink = try NetlinkSocket()
        outsideRoutes = try netlink.routes()
        outside = ResolvConfFile().read()
        let user = geteuid()
        let group = getegid()
        let kinds = CLINUX_USER | CLINUX_NETWORK | CLINUX_MOUNTS
        // Everybody keeps their number, so files keep their owner. Nobody else can be given to root.
        _ = try UserMapping.unshare(UInt32(kinds)) { process in
            if user != 0 { UserMapping.set(of: process) }
            return true
        }
        // The user alone needs no privilege outside (user_namespaces(7)).
        for (name, text) in [
            ("setgroups", "deny"), ("uid_map", "\(user) \(user) 1"), ("gid_map", "\(group) \(group) 1"),
        ] where name == "setgroups" || TextFile.read("/proc/self/\(name)")?.isEmpty != false {
            let code = TextFile.overwrite("/proc/self/\(name)", with: Array(text.utf8))
            // Where nothing can be taken back from a process without rights, the first file is missing or fixed.
            if code != 0 && code != EINVAL && name != "setgroups" {
                throw HelperError("/proc/self/\(name)", errno: code, hint: Self.hint(of: code))
            }
        }
        let isPrivate = clinux_private_mounts()
        guard isPrivate >= 0 else {
            throw HelperError("mounting in a user namespace", errno: -isPrivate, hint: Self.hint(of: -isPrivate))
        }
        netlink = try NetlinkSocket()
        try netlink.setUp(link: 1)
        // For `ping` without privileges; and ports below 1024 are nobody else's here.
        _ = TextFile.overwrite("/proc/sys/net/ipv4/ping_group_range", with: Array("\(group) \(group)".utf8))
        _ = TextFile.overwrite("/proc/sys/net/ipv4/ip_unprivileged_port_start", with: Array("0".utf8))
    }

    /// Why a system may forbid namespaces to its users; nil if it is not that.
    static func hint(of code: Int32) -> String? {
        if [EPERM, EACCES].contains(code),
            TextFile.read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")?.hasPrefix("1") == true
        {
            return "AppArmor keeps users from it: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        }
        if TextFile.read("/proc/sys/kernel/unprivileged_userns_clone")?.hasPrefix("0") == true {
            return "the system keeps users from it: sudo sysctl kernel.unprivileged_userns_clone=1"
        }
        if code == ENOSPC { return "the system allows no more of them: sudo sysctl user.max_user_namespaces=10000" }
        return nil
    }

    // MARK: Names

    /// Puts a resolv.conf of ours over the one that is there, and takes away the ways around it.
    func setResolver(server: NetworkAddress, searchDomains: [String]) throws(HelperError) {
        let bytes = ResolvConf.namespaced(server: server, searchDomains: searchDomains, outside: outside)
        if TextFile.bytes(of: Self.resolvConf)?.starts(with: Array("nameserver \(server)\n".utf8)) == true {
            let code = TextFile.overwrite(Self.resolvConf, with: bytes)
            guard code == 0 else { throw HelperError("writing \(Self.resolvConf)", errno: code) }
            return
        }
        // Files to mount need a place, but only until they are mounted.
        let places: [String] = ["/tmp", "/mnt", "/dev/shm", "/run"]
        guard let place = places.first(where: { clinux_empty_directory($0) == 0 }) else {
            throw HelperError("mounting in a user namespace", errno: EPERM, hint: Self.hint(of: EPERM))
        }
        defer { _ = clinux_unmount(place) }
        for (name, content) in [("resolv.conf", bytes), ("empty", [UInt8]())] {
            let code = TextFile.replace("\(place)/\(name)", with: content)
            guard code == 0 else { throw HelperError("writing \(place)/\(name)", errno: code) }
        }
        let bound = clinux_bind_mount("\(place)/resolv.conf", Self.resolvConf)
        guard bound == 0 else {
            throw HelperError(
                "putting our \(Self.resolvConf) over the one there", errno: -bound,
                hint: bound == -ENOENT ? "there is none: make an empty file" : Self.hint(of: -bound))
        }
        // Name services that would ask outside. Nobody answers on a file.
        for socket in ["/run/systemd/resolve/io.systemd.Resolve", "/run/nscd/socket"] where access(socket, F_OK) == 0 {
            _ = clinux_bind_mount("\(place)/empty", socket)
        }
    }

    // MARK: The processes in it

    /// What a holder is called that lets nobody in any more.
    private static let ending = "tp-ending"

    /// Enters the namespace of a holder, and becomes a program in it: as a child of whoever asks, with the same
    /// terminal, directory, user and environment. Returns only if it cannot. There must be one thread.
    static func run(_ command: [String], in holder: ProcessIdentity, as entrant: NetworkHelper.Entrant)
        throws(HelperError) -> Never
    {
        let (user, group) = (geteuid(), getegid())
        let gone = HelperError("the session has ended", kind: .failed)
        let directory = getcwd(nil, 0)
        defer { free(directory) }
        let process = open("/proc/\(holder.id)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // From here on it is that process, whoever has its number.
        guard process >= 0, holder.isRunning else { throw gone }
        var descriptors: [(Int32, Int32)] = []
        for (name, kind) in [("user", CLINUX_USER), ("net", CLINUX_NETWORK), ("mnt", CLINUX_MOUNTS)]
        where kind != CLINUX_NETWORK || entrant != .besideContainerEngine {
            let descriptor = openat(process, "ns/\(name)", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw [ENOENT, ESRCH].contains(errno) ? gone : HelperError("the session's namespace", errno: errno)
            }
            descriptors.append((descriptor, Int32(kind)))
        }
        for (descriptor, kind) in descriptors {
            try HelperError.check(clinux_join(descriptor, kind), "entering the session's namespace")
        }
        // Whoever ends the session says so first and looks for us then.
        guard holder.isRunning, TextFile.read("/proc/\(holder.id)/comm") != "\(Self.ending)\n" else { throw gone }
        switch entrant {
        case .command: break
        case .mounter: try HelperError.check(clinux_hand_on_mounting(), "mounting in the session's namespace")
        case .containerEngine:
            try UserMapping.becomeContainerRoot(of: user, group)
            UserMapping.setContainerRoot(of: user, group)
        case .besideContainerEngine: UserMapping.setContainerRoot(of: user, group)
        }
        if let directory { chdir(directory) }
        clinux_reset_signals()
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        arguments.append(nil)
        guard let program = arguments[0] else { throw HelperError("no command") }
        execvp(program, arguments)
        // Directories of PATH that are closed to us do not make a command one that is forbidden.
        let code = errno
        let isHere = command[0].contains("/") || directories.contains { access("\($0)/\(command[0])", F_OK) == 0 }
        throw HelperError(command[0], errno: isHere ? code : ENOENT)
    }

    private static var directories: [Substring] {
        (getenv("PATH").map { String(cString: $0) } ?? "/bin:/usr/bin").split(separator: ":")
    }

    /// Ends every other process in the namespace, as nothing in it reaches anybody any more.
    func end() {
        clinux_set_title(Self.ending)
        func others() -> [Int32] {
            let own = TextFile.link("/proc/self/ns/net")
            // The watcher, our parent, sees to itself.
            return DirectoryListing.names(in: "/proc").compactMap { Int32($0) }.filter {
                $0 != getpid() && $0 != getppid() && TextFile.link("/proc/\($0)/ns/net") == own
            }
        }
        for process in others() {
            // A shell ends with its terminal, anything else when it is told to; one that is stopped hears neither.
            for signal in [SIGHUP, SIGTERM, SIGCONT] { kill(process, signal) }
        }
        for _ in 0..<50 where !others().isEmpty { usleep(20_000) }
        for process in others() { kill(process, SIGKILL) }
    }
}
