import CLinux
import DNS
import Glibc
import NIOCore
import Synchronization

/// The queries of this machine's programs, on a thread of their own: names are found at once, however much the sessions'
/// event loop has to carry.
///
/// States: running → ended, when it is told to stop.
final class ResolverThread {
    /// Batches of queries between two looks at everything else.
    private static let batchesPerTurn = 4
    /// The largest datagram.
    private static let maximumAnswer = 65_535

    private let datagrams: CInt
    private let batch = clinux_batch_new()
    private var machine: DNSStubMachine
    private var servers: [Server] = []
    private let exchange: ResolverExchange
    private let wakeLoop: @Sendable () -> Void
    private var inbox = ThreadMailbox<ResolverAnswer>.Batch()
    private var entries: [pollfd] = []
    private var scratch = [UInt8](repeating: 0, count: ResolverThread.maximumAnswer)
    private var isStopping = false
    private var now: UInt64 = 0

    private final class Server {
        let sockets: ServerSockets

        init(_ address: SocketAddress) { sockets = ServerSockets(to: address) }
    }

    private init(
        _ configuration: ResolverConfiguration, _ exchange: ResolverExchange, _ wakeLoop: @escaping @Sendable () -> Void
    ) {
        datagrams = configuration.datagrams
        machine = DNSStubMachine(routing: configuration.routing, serverCount: configuration.servers.count)
        self.exchange = exchange
        self.wakeLoop = wakeLoop
        setServers(configuration.servers)
    }

    deinit {
        clinux_batch_free(batch)
        close(datagrams)
    }

    /// Starts it; it ends after `ResolverAnswer.stop`, closes the UDP socket, and says so. The answer is 0, or an errno.
    static func start(
        _ configuration: ResolverConfiguration, _ exchange: ResolverExchange, wakeLoop: @escaping @Sendable () -> Void
    ) -> CInt {
        let argument = Unmanaged.passRetained(ResolverThread(configuration, exchange, wakeLoop)).toOpaque()
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                clinux_name_thread("resolver")
                Unmanaged<ResolverThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument)
        if code == 0 {
            pthread_detach(thread)
        } else {
            Unmanaged<ResolverThread>.fromOpaque(argument).release()
        }
        return code
    }

    private func run() {
        readClock()
        while !isStopping {
            let isDrained = readQueries()
            perform()
            wait(timeout: isDrained ? timeout : 0)
            readClock()
            for index in entries.indices.dropFirst() where entries[index].revents != 0 {
                if entries[index].fd == exchange.wakeup { readAnswers() } else { readServer(entries[index].fd) }
            }
            if let deadline = machine.nextDeadline, deadline <= now { machine.expire(now: now) }
            perform()
            let statistics = machine.statistics
            exchange.queries.store(statistics.queries, ordering: .relaxed)
            exchange.hits.store(statistics.hits, ordering: .relaxed)
            exchange.failures.store(statistics.failures, ordering: .relaxed)
        }
        post(.ended)
    }

    // MARK: Queries

    /// Whether the socket has no more for now.
    private func readQueries() -> Bool {
        for _ in 0..<Self.batchesPerTurn {
            let count = clinux_batch_receive(batch, datagrams)
            guard count > 0 else { return true }
            for index in 0..<count {
                var length = 0
                let query = clinux_batch_query(batch, index, &length)
                guard let address = clinux_batch_address(batch, index) else { continue }
                let token = address.loadUnaligned(as: SIMD4<UInt64>.self)
                let answer = machine.receive(
                    UnsafeRawBufferPointer(start: query, count: length),
                    from: StubClient(token: token, isStream: false), now: now,
                    output: UnsafeMutableRawBufferPointer(
                        start: clinux_batch_reply(batch), count: Int(CLINUX_REPLY_SIZE)))
                if let answer { clinux_batch_put(batch, index, answer) }
            }
            clinux_batch_send(batch, datagrams)
            if count < CLINUX_BATCH { return true }
        }
        return false
    }

    private func perform() {
        guard !machine.effects.isEmpty else { return }
        for effect in machine.effects {
            switch effect {
            case .reply(let client, let bytes): reply(client, bytes)
            case .askCluster(let bytes): post(.askCluster(bytes))
            case .askServer(let index, overStream: true, let bytes): post(.askServer(index, bytes))
            case .askServer(let index, overStream: false, let bytes):
                if index < servers.count { servers[index].sockets.send(bytes) }
            }
        }
        machine.effects.removeAll(keepingCapacity: true)
    }

    private func reply(_ client: StubClient, _ bytes: ByteBuffer) {
        guard !client.isStream else { return post(.reply(client.token[0], bytes)) }
        withUnsafeBytes(of: client.token) { address in
            bytes.withUnsafeReadableBytes {
                clinux_send_to(datagrams, $0.baseAddress, $0.count, address.baseAddress)
            }
        }
    }

    // MARK: Servers

    private func setServers(_ addresses: [SocketAddress]) {
        servers = addresses.map(Server.init)
        entries = [datagrams, exchange.wakeup].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        for server in servers {
            entries += server.sockets.all.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        }
    }

    /// Takes what there is; an error, such as of a port where nobody listens, is no answer.
    private func readServer(_ descriptor: CInt) {
        guard let index = servers.firstIndex(where: { $0.sockets.all.contains(descriptor) }) else { return }
        while true {
            let count = recv(descriptor, &scratch, scratch.count, CInt(MSG_DONTWAIT))
            guard count > 0 else { return }
            machine.receive(ByteBuffer(bytes: scratch[..<count]), fromServer: index, now: now)
        }
    }

    // MARK: The event loop

    private func post(_ message: ResolverMessage) {
        if exchange.messages.post(message) { wakeLoop() }
    }

    private func readAnswers() {
        exchange.clearWakeup()
        exchange.answers.take(&inbox)
        for answer in inbox.messages {
            switch answer {
            case .query(let number, let bytes): receive(bytes, from: number)
            case .cluster(let bytes): machine.receiveFromCluster(bytes, now: now)
            case .clusterIsUp(let isUp): machine.clusterIsUp(isUp, now: now)
            case .server(let index, let bytes): machine.receive(bytes, fromServer: index, now: now)
            case .setRouting(let routing): machine.routing = routing
            case .setServers(let addresses):
                setServers(addresses)
                machine.setServers(addresses.count, now: now)
            case .stop: isStopping = true
            }
        }
    }

    private func receive(_ bytes: ByteBuffer, from number: UInt64) {
        withUnsafeTemporaryAllocation(byteCount: Int(CLINUX_REPLY_SIZE), alignment: 8) { output in
            let answer = bytes.withUnsafeReadableBytes {
                machine.receive(
                    $0, from: StubClient(token: SIMD4(number, 0, 0, 0), isStream: true), now: now, output: output)
            }
            if let answer { post(.reply(number, ByteBuffer(bytes: output[..<answer]))) }
        }
    }

    // MARK: Waiting

    private func readClock() {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        now = UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// For poll(): until the machine's next deadline, in milliseconds, rounded up; -1 for ever.
    private var timeout: CInt {
        guard let deadline = machine.nextDeadline else { return -1 }
        guard deadline > now else { return 0 }
        return CInt(clamping: (deadline - now) / 1_000_000 + 1)
    }

    private func wait(timeout: CInt) {
        if poll(&entries, nfds_t(entries.count), timeout) < 0 {
            for index in entries.indices { entries[index].revents = 0 }
        }
    }
}
