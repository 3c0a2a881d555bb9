import CLinux
import Glibc

/// The helper's working half: one session, one socket. Ends when the socket or the watcher does, or when it is told to,
/// with everything undone.
final class NetworkWorker {
    private let socket: MessageSocket
    private let signals: Int32
    /// Its other end is the watcher's alone.
    private let watcher: Int32
    private let namespace: NetworkNamespace?
    private let processes: [ProcessIdentity]

    private let file = ResolvConfFile()
    private var opened: Opened?
    /// Tells of changes to resolv.conf, while a part of it is ours.
    private var watch: Int32 = -1

    /// What was made.
    private struct Opened {
        var request: NetworkRequest
        var answer: NetworkAnswer
        var plan: ResolverPlan?
    }

    private static let maximumTransferUnit: UInt32 = 65_535
    private static let backlog: Int32 = 4096
    /// How long a helper of the same session may take to clean up.
    private static let patience = 5
    /// A program that writes resolv.conf whenever we do is left to win after so many times in a row.
    private static let maximumRewrites = 20

    init(
        socket: MessageSocket, signals: Int32, watcher: Int32, namespace: NetworkNamespace?,
        processes: [ProcessIdentity]
    ) {
        self.socket = socket
        self.signals = signals
        self.watcher = watcher
        self.namespace = namespace
        self.processes = processes
    }

    func run() {
        defer { undo() }
        var rewrites = 0
        while true {
            var entries = [socket.descriptor, signals, watcher, watch].map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            guard poll(&entries, nfds_t(entries.count), -1) >= 0 || errno == EINTR else { return }
            if entries[2].revents != 0 { return }
            while case let number = clinux_next_signal(signals), number != 0 {
                if number == SIGTERM || number == SIGINT { return }
            }
            if entries[0].revents != 0 {
                rewrites = 0
                do throws(HelperError) {
                    guard let (request, descriptors) = try socket.receive(NetworkRequest.self) else { return }
                    for descriptor in descriptors { close(descriptor) }
                    try handle(request)
                } catch {
                    try? socket.send(NetworkMessage.failed(error))
                    // What was never opened is not worth keeping.
                    if opened == nil { return }
                }
            }
            if entries[3].revents != 0 {
                guard rewrites < Self.maximumRewrites else {
                    close(watch)
                    watch = -1
                    continue
                }
                if resolvConfChanged() { rewrites += 1 }
            }
        }
    }

    private func undo() {
        if let namespace { return namespace.end() }
        if let opened { NetworkJournal.read(opened.request.name)?.undo() }
    }

    private func handle(_ request: NetworkRequest) throws(HelperError) {
        try request.validate()
        if let sockets = request.sockets { return try send(sockets) }
        if opened == nil { try open(request) } else { try update(request) }
    }

    /// Sockets of this namespace, for who is outside of it.
    private func send(_ wanted: NetworkRequest.Sockets) throws(HelperError) {
        guard namespace != nil, opened != nil, (1...NetworkRequest.Sockets.maximumCount).contains(wanted.count) else {
            throw HelperError("sockets are given out by a rootless network only, a few at a time")
        }
        var made: [Int32] = []
        defer { for descriptor in made { close(descriptor) } }
        for _ in 0..<wanted.count {
            let type = wanted.isDatagram ? SOCK_DGRAM : SOCK_STREAM
            let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            made.append(try Self.makeSocket(Int32(type.rawValue) | flags))
        }
        try socket.send(NetworkMessage.sockets, descriptors: made)
    }

    private static func makeSocket(_ type: Int32) throws(HelperError) -> Int32 {
        let descriptor = Glibc.socket(AF_INET, type, 0)
        guard descriptor >= 0 else { throw HelperError("a socket", errno: errno) }
        return descriptor
    }

    // MARK: Opening

    private func open(_ request: NetworkRequest) throws(HelperError) {
        var netlink = try NetlinkSocket()
        var plan: ResolverPlan?
        var upstream: [NetworkAddress]
        let existing: [KernelRoute]
        if let namespace {
            existing = namespace.outsideRoutes
            upstream = namespace.outside.servers()
        } else {
            try clean(request.name)
            existing = try netlink.routes()
            let resolvConf = file.read()
            var resolved = SystemdResolved()
            upstream = resolvConf.servers()
            plan = ResolverPlan.make(
                resolvedRuns: resolved != nil, resolvConfMode: resolved?.resolvConfMode(), servers: upstream)
            try refuseConflicts(
                request, request.routes, existing, device: "tel", servers: upstream + (resolved?.servers() ?? []))
        }
        let addresses = try choose(request, existing)
        if namespace == nil {
            let journal = NetworkJournal(
                name: request.name, processes: processes, changesResolvConf: plan?.overridesResolvConf ?? false)
            try journal.create()
        }
        var descriptors: [Int32] = []
        // The daemon has its own when this is over: as long as we had one, the device would outlive the daemon.
        defer { for descriptor in descriptors { close(descriptor) } }
        do throws(HelperError) {
            var (answer, made) = try makeDevice(request, addresses, &netlink)
            descriptors = made
            answer.upstreamServers = upstream
            for route in answer.routes { try netlink.add(route: route, to: answer.interfaceIndex) }
            descriptors += try sockets(&answer)
            if let plan {
                answer.resolver = plan.mode
                answer.notes += try setResolver(request, answer, plan)
            } else {
                try namespace?.setResolver(server: answer.address4, searchDomains: request.resolver.searchDomains)
                answer.holder = processes.last
            }
            opened = Opened(request: request, answer: answer, plan: plan)
            try socket.send(NetworkMessage.opened(answer), descriptors: descriptors)
        } catch {
            if namespace == nil { NetworkJournal.read(request.name)?.undo() }
            opened = nil
            throw error
        }
    }

    /// Undoes what a session of that name left behind. One that is ending is waited for.
    private func clean(_ name: String) throws(HelperError) {
        for _ in 0..<(Self.patience * 20) {
            guard let journal = NetworkJournal.read(name), !journal.isStale else { break }
            usleep(50_000)
        }
        if let journal = NetworkJournal.read(name) {
            guard journal.isStale else { throw HelperError("the session '\(name)' has a network already", kind: .busy) }
            if let failure = journal.undo().first { throw failure }
        }
        // What others left would lead names nowhere, too.
        for failure in Leftovers.find(file: file).remove(file: file) { throw failure }
    }

    private func refuseConflicts(
        _ request: NetworkRequest, _ routes: [NetworkPrefix], _ existing: [KernelRoute], device: String,
        servers: [NetworkAddress]
    ) throws(HelperError) {
        let conflicts = RouteConflict.find(
            wanted: routes, device: device, existing: existing,
            protected: .init(
                dnsServers: servers.filter { !$0.isLoopback }, managerAddresses: request.managerAddresses,
                sshClient: request.sshClient),
            allowedOverlaps: request.allowedOverlaps)
        guard conflicts.isEmpty else { throw HelperError(conflicts) }
    }

    private func choose(_ request: NetworkRequest, _ existing: [KernelRoute]) throws(HelperError)
        -> (TunnelAddresses, TunnelAddresses)
    {
        var chosen: [TunnelAddresses] = []
        for (asked, isIPv4) in [(request.address4, true), (request.address6, false)] {
            if let asked {
                let addresses = TunnelAddresses(own: asked)
                guard addresses.prefix.contains(addresses.peer), addresses.prefix.address != asked else {
                    throw HelperError("\(asked) cannot be the address of the device: the next one must be free, too")
                }
                chosen.append(addresses)
            } else if let free = TunnelAddresses.choose(isIPv4: isIPv4, existing: existing, subnets: request.subnets) {
                chosen.append(free)
            } else {
                throw HelperError("no addresses are left for the TUN device: name some", kind: .conflict)
            }
        }
        return (chosen[0], chosen[1])
    }

    private func makeDevice(
        _ request: NetworkRequest, _ addresses: (TunnelAddresses, TunnelAddresses), _ netlink: inout NetlinkSocket
    ) throws(HelperError) -> (NetworkAnswer, [Int32]) {
        var name = Array((request.device ?? "tel%d").utf8.map(CChar.init(bitPattern:)).prefix(15))
        name += [CChar](repeating: 0, count: 16 - name.count)
        let tunnel = clinux_tun(&name)
        guard tunnel >= 0 else {
            let what = tunnel == -EBUSY ? "the device \(request.device ?? "tel0")" : "/dev/net/tun"
            throw HelperError(what, errno: -tunnel, hint: Self.tunnelHint(-tunnel))
        }
        do throws(HelperError) {
            let device = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            let index = Int32(bitPattern: if_nametoindex(device))
            guard index > 0 else { throw HelperError("the device \(device)", errno: errno) }
            try netlink.configure(
                link: index, maximumTransferUnit: Self.maximumTransferUnit,
                alias: NetworkJournal.alias(of: request.name))
            let (v4, v6) = addresses
            try netlink.add(v4.own, length: v4.length, to: index)
            var answer = NetworkAnswer(
                device: device, interfaceIndex: index, address4: v4.own, peer4: v4.peer, address6: v6.own,
                peer6: v6.peer, port4: 0, routes: [], resolver: .namespace, upstreamServers: [])
            do throws(HelperError) {
                try netlink.add(v6.own, length: v6.length, to: index)
            } catch {
                answer.address6 = nil
                answer.peer6 = nil
                answer.notes.append("no IPv6 on this machine: \(error)")
            }
            try netlink.setUp(link: index)
            let routes = namespace == nil ? request.routes : NetworkNamespace.routes
            answer.routes = routes.filter { $0.isIPv4 || answer.address6 != nil }
            return (answer, [tunnel])
        } catch {
            close(tunnel)
            throw error
        }
    }

    private static func tunnelHint(_ code: Int32) -> String? {
        switch code {
        case ENOENT, ENXIO, ENODEV: "modprobe tun, or in a container: --device /dev/net/tun"
        case EPERM, EACCES:
            NetworkNamespace.hint(of: code) ?? "it is to be readable and writable by everybody: mode 0666"
        default: nil
        }
    }

    /// For DNS and for the connections that are rewritten to come here, with the ports of the latter put into the answer.
    private func sockets(_ answer: inout NetworkAnswer) throws(HelperError) -> [Int32] {
        var made: [Int32] = []
        do throws(HelperError) {
            let own = answer.address4
            made.append(try bind(own, Int32(SOCK_DGRAM.rawValue), port: 53))
            made.append(try bind(own, Int32(SOCK_STREAM.rawValue), port: 53, backlog: Self.backlog))
            made.append(try bind(own, Int32(SOCK_STREAM.rawValue), port: 0, backlog: Self.backlog))
            answer.port4 = Int(clinux_bound_port(made[2]))
            if let own = answer.address6 {
                made.append(try bind(own, Int32(SOCK_STREAM.rawValue), port: 0, backlog: Self.backlog))
                answer.port6 = Int(clinux_bound_port(made[3]))
            }
            return made
        } catch {
            for descriptor in made { close(descriptor) }
            throw error
        }
    }

    private func bind(_ address: NetworkAddress, _ type: Int32, port: Int32, backlog: Int32 = 0) throws(HelperError)
        -> Int32
    {
        let made = clinux_bound_socket(address.family, type, address.bytes, port, backlog)
        guard made < 0 else { return made }
        let isTaken = made == -EADDRINUSE && port == 53
        let hint = isTaken ? "a name server of this machine has it on every address: let it listen on its own" : nil
        throw HelperError("port \(port) of \(address)", errno: -made, hint: hint)
    }

    // MARK: Changing

    private func update(_ request: NetworkRequest) throws(HelperError) {
        guard var opened else { return }
        guard request.name == opened.request.name else {
            throw HelperError("this connection is the session '\(opened.request.name)', not '\(request.name)'")
        }
        guard let plan = opened.plan else {
            try namespace?.setResolver(server: opened.answer.address4, searchDomains: request.resolver.searchDomains)
            opened.request = request
            self.opened = opened
            return try socket.send(NetworkMessage.updated(routes: opened.answer.routes, notes: []))
        }
        var netlink = try NetlinkSocket()
        let index = opened.answer.interfaceIndex
        let wanted = request.routes.filter { $0.isIPv4 || opened.answer.address6 != nil }
        let added = wanted.filter { !opened.answer.routes.contains($0) }
        let removed = opened.answer.routes.filter { !wanted.contains($0) }
        var resolved = SystemdResolved()
        let servers = file.read().servers(below: request.name) + (resolved?.servers() ?? [])
        try refuseConflicts(
            request, added, try netlink.routes(), device: opened.answer.device,
            servers: servers.filter { $0 != opened.answer.address4 })
        var done: [NetworkPrefix] = []
        var notes: [String] = []
        do throws(HelperError) {
            for route in added {
                try netlink.add(route: route, to: index)
                done.append(route)
            }
            notes = try setResolver(request, opened.answer, plan)
        } catch {
            for route in done { try? netlink.remove(route: route, from: index) }
            _ = try? setResolver(opened.request, opened.answer, plan)
            throw error
        }
        for route in removed { try? netlink.remove(route: route, from: index) }
        opened.request = request
        opened.answer.routes = wanted
        self.opened = opened
        try socket.send(NetworkMessage.updated(routes: wanted, notes: notes))
    }

    // MARK: Names

    /// Returns what is not as asked.
    private func setResolver(_ request: NetworkRequest, _ answer: NetworkAnswer, _ plan: ResolverPlan)
        throws(HelperError) -> [String]
    {
        var notes: [String] = []
        if plan.usesSystemdResolved, var resolved = SystemdResolved() {
            let domains = request.resolver.domains + request.routes.flatMap(\.reverseZones)
            try resolved.set(
                link: answer.interfaceIndex, server: answer.address4, domains: domains,
                searchDomains: request.resolver.searchDomains)
            let count = Set(domains + request.resolver.searchDomains).count
            if count > SystemdResolved.maximumDomains {
                notes.append("systemd-resolved takes \(SystemdResolved.maximumDomains) of the \(count) domains")
            }
        }
        if plan.overridesResolvConf {
            try file.add(block(request, answer))
            watchResolvConf()
        }
        return notes
    }

    private func block(_ request: NetworkRequest, _ answer: NetworkAnswer) -> ResolvConf.Block {
        ResolvConf.Block(
            name: request.name, server: answer.address4, searchDomains: request.resolver.searchDomains,
            keepsServers: request.resolver.keepsServers)
    }

    private func watchResolvConf() {
        if watch < 0 { watch = clinux_watch() }
        for directory in file.watchedDirectories { _ = clinux_watch_directory(watch, directory) }
    }

    /// Somebody wrote the file, or the one it was a link to: what they wrote is the original now. Returns whether it was
    /// written to.
    private func resolvConfChanged() -> Bool {
        var events = [UInt8](repeating: 0, count: 4096)
        while read(watch, &events, events.count) > 0 {}
        guard var opened else { return false }
        let hasWritten = (try? file.add(block(opened.request, opened.answer))) ?? false
        watchResolvConf()
        let servers = file.read().servers(below: opened.request.name)
        if servers != opened.answer.upstreamServers {
            opened.answer.upstreamServers = servers
            self.opened = opened
            try? socket.send(NetworkMessage.upstreamChanged(servers))
        }
        return hasWritten
    }
}
