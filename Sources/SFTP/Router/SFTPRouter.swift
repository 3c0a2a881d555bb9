package import NIOCore

/// One client before several file servers, one for each workload: `/hello/etc/x` is `/hello/etc/x` of the server that is
/// opened for `hello`. Pure: bytes and events go in, effects come out.
///
/// The servers answer with the client's own request numbers, and put their own number into their handles, so nothing of what
/// passes is changed. Only the root directory and the greeting are the router's own.
package struct SFTPRouter {
    package enum Effect: Hashable, Sendable {
        case toClient(ByteBuffer)
        case toServer(UInt8, ByteBuffer)
        /// A server is wanted for what follows the root in a path; `opened` or `ended` tells of it.
        case open(UInt8, String)
        /// The names in the root are wanted; `workloads` tells them.
        case listWorkloads
        /// The client has broken the protocol.
        case end(String)
    }

    /// Requests of a client that are not answered: more than any has, which have 64 to 256 of them.
    package static let maximumOutstanding = 4096
    /// Bytes that wait for a server to be opened: some windows of writes.
    static let maximumWaiting = 4 << 20
    /// Numbers are one byte, and 0 is the router's.
    static let maximumServers: UInt8 = 250
    /// Listings of the root that are open.
    private static let maximumRoots = 64

    private enum Peer {
        case opening(waiting: [ByteBuffer], bytes: Int)
        case open
    }

    private struct Server {
        var workload: String
        var peer: Peer
        var received = SFTPPackets(limit: SFTPLimits.maximumPacket + 1024)
        /// Its greeting has come.
        var isGreeted = false
        var outstanding: Set<UInt32> = []

        enum Answer {
            case whole(ByteBuffer)
            /// A greeting, or one that nobody waits for and that would be taken for another's.
            case unwanted
            case broken
        }

        /// The next whole answer of those that have come.
        mutating func next() -> Answer? {
            guard let next = received.next() else { return nil }
            guard case .packet(let packet) = next else { return .broken }
            guard isGreeted else {
                isGreeted = true
                return .unwanted
            }
            let id = packet.getInteger(at: packet.readerIndex + 5, as: UInt32.self) ?? 0
            return outstanding.remove(id) == nil ? .unwanted : .whole(packet)
        }
    }

    private var received = SFTPPackets()
    private var servers: [UInt8: Server] = [:]
    private var byWorkload: [String: UInt8] = [:]
    private var lastServer: UInt8 = 0
    /// Open listings of the root; `nil` until the names are known.
    private var roots: [UInt32: [String]?] = [:]
    private var lastRoot: UInt32 = 0
    private var waitingForNames: [(root: UInt32, id: UInt32)] = []
    private var isEnded = false
    private var effects: [Effect] = []

    package init() {}

    /// Whether the client is to be read.
    package var wantsMore: Bool {
        servers.values.allSatisfy { server in
            if case .opening(_, let bytes) = server.peer { bytes < Self.maximumWaiting } else { true }
        } && servers.values.reduce(0) { $0 + $1.outstanding.count } < Self.maximumOutstanding
    }

    private mutating func taken() -> [Effect] {
        defer { effects = [] }
        return effects
    }

    // MARK: The client

    package mutating func received(_ bytes: ByteBuffer) -> [Effect] {
        guard !isEnded else { return [] }
        received.append(bytes)
        while !isEnded, let next = received.next() {
            switch next {
            case .packet(let packet): route(packet)
            case .broken(let length): end("a packet of \(length) bytes")
            }
        }
        return taken()
    }

    private mutating func end(_ text: String) {
        isEnded = true
        effects.append(.end(text))
    }

    private mutating func route(_ packet: ByteBuffer) {
        var packet = packet
        let whole = packet
        let header = packet.readBytes(length: 9) ?? []
        let id = header[5...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard let type = SFTPPacketType(rawValue: header[4]) else { return answer(.unsupported, id) }
        if type == .initialize {
            var writer = SFTPWriter()
            writer.version(SFTPExtension.allCases.filter { !$0.hasTwoAnswers })
            return effects.append(.toClient(writer.bytes))
        }
        guard type.isRequest else { return answer(.unsupported, id) }
        var isByHandle = type.hasHandle
        if type == .extended {
            guard let name = packet.readString() else { return end("a packet that ends too early") }
            guard let kind = SFTPExtension(rawValue: name), !kind.hasTwoAnswers else { return answer(.unsupported, id) }
            guard kind != .limits else {
                var writer = SFTPWriter()
                writer.limits(id: id)
                return effects.append(.toClient(writer.bytes))
            }
            isByHandle = kind.hasHandle
        }
        guard let first = packet.readStringSlice() else { return end("a packet that ends too early") }
        if isByHandle {
            let handle = first.withUnsafeReadableBytes { SFTPHandle($0) }
            guard let handle else { return answer(.badHandle, id) }
            return handle.server == 0 ? root(type, handle, id) : send(whole, id, to: handle.server)
        }
        path(first, packet, type, whole, id)
    }

    private mutating func path(
        _ first: ByteBuffer, _ rest: ByteBuffer, _ type: SFTPPacketType, _ whole: ByteBuffer, _ id: UInt32
    ) {
        var rest = rest
        var path = String(buffer: first)
        if type == .symlink {
            // What a link says leads nowhere; where it is to be is the second.
            guard let link = rest.readString() else { return end("a packet that ends too early") }
            path = link
        }
        guard let workload = Self.workload(path) else { return root(type, id) }
        if type == .rename || type == .extended, let other = rest.readString(), Self.workload(other) != workload {
            return answer(SFTPStatus(.failure, "files cannot be moved between workloads"), id)
        }
        send(whole, id, to: server(of: workload))
    }

    /// The first name of a path; `nil` for the root.
    static func workload(_ path: String) -> String? {
        var names: [Substring] = []
        for name in path.split(separator: "/") where name != "." {
            if name == ".." { _ = names.popLast() } else { names.append(name) }
        }
        return names.first.map(String.init)
    }

    private mutating func server(of workload: String) -> UInt8 {
        if let number = byWorkload[workload] { return number }
        // One whose connection has ended gives its number back.
        var number = lastServer
        repeat { number = number % Self.maximumServers + 1 } while servers[number] != nil && number != lastServer
        guard servers[number] == nil else { return 0 }
        lastServer = number
        servers[number] = Server(workload: workload, peer: .opening(waiting: [], bytes: 0))
        byWorkload[workload] = number
        effects.append(.open(number, workload))
        return number
    }

    private mutating func send(_ packet: ByteBuffer, _ id: UInt32, to number: UInt8) {
        // Changed in its place: what is taken out of a dictionary is copied when it changes.
        guard let outstanding = servers[number]?.outstanding.count else { return answer(.badHandle, id) }
        guard outstanding < Self.maximumOutstanding else { return end("too many requests at once") }
        servers[number]?.outstanding.insert(id)
        switch servers[number]?.peer {
        case .open, nil: effects.append(.toServer(number, packet))
        case .opening(var waiting, let bytes):
            waiting.append(packet)
            servers[number]?.peer = .opening(waiting: waiting, bytes: bytes + packet.readableBytes)
        }
    }

    private mutating func answer(_ status: SFTPStatus, _ id: UInt32) {
        var writer = SFTPWriter()
        writer.status(status, id: id)
        effects.append(.toClient(writer.bytes))
    }

    // MARK: The root

    private mutating func root(_ type: SFTPPacketType, _ id: UInt32) {
        var writer = SFTPWriter()
        switch type {
        case .stat, .lstat:
            writer.attributes(Self.directory, id: id)
        case .realpath: writer.name("/", id: id)
        case .opendir:
            guard roots.count < Self.maximumRoots else {
                return answer(SFTPStatus(.failure, "too many directories are open"), id)
            }
            repeat { lastRoot &+= 1 } while roots[lastRoot] != nil
            roots[lastRoot] = .some(nil)
            writer.handle(SFTPHandle(server: 0, number: lastRoot), id: id)
        case .extended: return answer(.unsupported, id)
        default: return answer(SFTPStatus(.permissionDenied, "a workload comes first: /hello/…"), id)
        }
        effects.append(.toClient(writer.bytes))
    }

    private static let directory: SFTPAttributes = {
        var attributes = SFTPAttributes()
        // A directory that all may list.
        attributes.permissions = 0o040555
        return attributes
    }()

    private mutating func root(_ type: SFTPPacketType, _ handle: SFTPHandle, _ id: UInt32) {
        guard let names = roots[handle.number] else { return answer(.badHandle, id) }
        switch type {
        case .close:
            roots[handle.number] = nil
            answer(.ok, id)
        case .fstat:
            var writer = SFTPWriter()
            writer.attributes(Self.directory, id: id)
            effects.append(.toClient(writer.bytes))
        case .readdir:
            guard let names else {
                waitingForNames.append((handle.number, id))
                return effects.append(.listWorkloads)
            }
            list(names, handle.number, id)
        default: answer(.unsupported, id)
        }
    }

    private mutating func list(_ names: [String], _ root: UInt32, _ id: UInt32) {
        guard !names.isEmpty else { return answer(.endOfFile, id) }
        roots[root] = .some([])
        var writer = SFTPWriter()
        writer.begin(.name, id: id)
        writer.write(UInt32(names.count))
        for name in names {
            writer.write(name)
            writer.write("dr-xr-xr-x   1 0        0               0 Jan  1  1970 \(name)")
            Self.directory.write(to: &writer)
        }
        writer.end()
        effects.append(.toClient(writer.bytes))
    }

    package mutating func workloads(_ names: [String]) -> [Effect] {
        for (root, id) in waitingForNames { list([".", ".."] + names, root, id) }
        waitingForNames = []
        return taken()
    }

    // MARK: Servers

    package mutating func opened(_ number: UInt8) -> [Effect] {
        guard case .opening(let waiting, _)? = servers[number]?.peer else { return [] }
        servers[number]?.peer = .open
        var greeting = ByteBuffer()
        greeting.writeInteger(UInt32(5))
        greeting.writeInteger(SFTPPacketType.initialize.rawValue)
        greeting.writeInteger(UInt32(3))
        effects.append(.toServer(number, greeting))
        for packet in waiting { effects.append(.toServer(number, packet)) }
        return taken()
    }

    /// A server could not be opened, or is gone: what it was asked is answered with why.
    package mutating func ended(_ number: UInt8, _ text: String) -> [Effect] {
        guard let server = servers.removeValue(forKey: number) else { return [] }
        byWorkload[server.workload] = nil
        let isOpening = if case .opening = server.peer { true } else { false }
        for id in server.outstanding.sorted() {
            answer(SFTPStatus(isOpening ? .noSuchFile : .failure, text), id)
        }
        return taken()
    }

    package mutating func received(_ bytes: ByteBuffer, from number: UInt8) -> [Effect] {
        guard servers[number] != nil, !isEnded else { return [] }
        servers[number]?.received.append(bytes)
        while let packet = servers[number]?.next() {
            switch packet {
            case .whole(let packet): effects.append(.toClient(packet))
            case .unwanted: continue
            case .broken: return ended(number, "the traffic-agent speaks no SFTP")
            }
        }
        return taken()
    }

    /// The servers that have been asked something, by which somebody may notice those that do not answer.
    package var waitingServers: [UInt8] { servers.filter { !$0.value.outstanding.isEmpty }.map(\.key) }
}

extension ByteBuffer {
    fileprivate mutating func readStringSlice() -> ByteBuffer? {
        guard let length = getInteger(at: readerIndex, as: UInt32.self), readableBytes >= 4 + Int(length) else {
            return nil
        }
        moveReaderIndex(forwardBy: 4)
        return readSlice(length: Int(length))
    }

    fileprivate mutating func readString() -> String? { readStringSlice().map { String(buffer: $0) } }
}
