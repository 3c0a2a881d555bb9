package import NIOCore

/// The stub that the workstation's programs ask: cluster names go to the cluster's DNS, all others to the servers that
/// were there before, as raw messages of any type.
///
/// Bytes and times in (nanoseconds of a clock that never jumps), answers and effects out. An exchange is in one of two
/// stages, asking the cluster or asking the servers, and ends with an answer for all who wait for the same one.
package struct DNSStubMachine: ~Copyable {
    /// Exchanges under way: twice the 150 of dnsmasq's `dns-forward-max` for each of some busy programs. More are
    /// answered with SERVFAIL at once.
    package static let maximumExchanges = 1024
    /// Who may wait for one exchange: a burst of a program's threads. More are dropped, and will ask again.
    private static let maximumWaiting = 64
    /// Answers are kept no longer, whatever they say: an hour; what is not there for a minute, as it may be made meanwhile.
    private static let maximumLifetime: UInt32 = 3600
    private static let maximumNegativeLifetime: UInt32 = 60

    private struct Waiting {
        var client: StubClient
        /// The bytes of header, question, and whatever followed.
        var query: [UInt8]
        var limit: Int
    }

    private enum Stage {
        case cluster(fallsBack: Bool)
        case servers(tries: Int, nextTry: UInt64)
    }

    private struct Exchange {
        var waiting: [Waiting]
        /// `nil`: the answer is for one client alone.
        var key: [UInt8]?
        var asked: Name
        /// What is asked for instead.
        var wanted: Name
        /// As it went out, but for the id.
        var message: ByteBuffer
        var stage: Stage
        var overStream: Bool
        var deadline: UInt64
    }

    package var routing: StubRouting {
        didSet { cache.removeAll() }
    }
    private let timing: StubTiming
    private var random: any RandomNumberGenerator
    private var cache: AnswerCache
    private var exchanges: [UInt16: Exchange] = [:]
    private var underWay: [[UInt8]: UInt16] = [:]
    private var serverCount: Int
    /// The server that answered last.
    private var preferred = 0
    /// No exchange has anything to do before.
    private var earliest = UInt64.max
    private var isClusterUp = false
    /// When the way to the cluster was lost, or was first missed.
    private var clusterDownSince: UInt64?
    /// What is to be done; the owner takes it.
    package var effects: [StubEffect] = []
    package private(set) var statistics = StubStatistics()

    package init(
        routing: StubRouting, serverCount: Int, timing: StubTiming = StubTiming(),
        random: any RandomNumberGenerator = SystemRandomNumberGenerator()
    ) {
        self.routing = routing
        self.serverCount = serverCount
        self.timing = timing
        self.random = random
        cache = AnswerCache(seed: self.random.next())
    }

    // MARK: Queries

    /// Takes a query. An answer that is at hand is written to `output`, which has room for 1,232 bytes, and its length
    /// returned; otherwise there may be effects.
    package mutating func receive(
        _ query: UnsafeRawBufferPointer, from client: StubClient, now: UInt64, output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        statistics.queries &+= 1
        guard let raw = RawQuery(query) else { return refuse(query, output) }
        let limit = client.isStream ? Message.maximumLength : min(raw.payloadSize, Self.maximumDatagram)
        guard raw.isShareable else {
            begin(query, raw, key: nil, from: client, limit: limit, now: now)
            return nil
        }
        return withUnsafeTemporaryAllocation(byteCount: RawQuery.maximumKeyLength, alignment: 8) { scratch -> Int? in
            let length = raw.writeKey(query, to: scratch)
            let key = UnsafeRawBufferPointer(rebasing: scratch[..<length])
            if let length = cache.answer(query, key: key, now: now, into: output) {
                statistics.hits &+= 1
                return length <= limit ? length : Self.truncate(output, to: raw.questionEnd, hasEDNS: raw.hasEDNS)
            }
            begin(query, raw, key: Array(key), from: client, limit: limit, now: now)
            return nil
        }
    }

    /// What fits our own device, whatever a client says.
    private static let maximumDatagram = 4096

    /// What is no query that we understand: told so if it looks like one (RFC 1035 §4.1.1), else ignored.
    private func refuse(_ query: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) -> Int? {
        guard query.count >= Header.length, query[2] & 0x80 == 0 else { return nil }
        let isQuery = query[2] & 0x78 == 0
        for index in 0..<Header.length { output[index] = index < 2 ? query[index] : 0 }
        output[2] = query[2] & 0x79 | 0x80
        // FORMERR, NOTIMP.
        output[3] = 0x80 | (isQuery ? 1 : 4)
        return Header.length
    }

    private mutating func begin(
        _ query: UnsafeRawBufferPointer, _ raw: RawQuery, key: [UInt8]?, from client: StubClient, limit: Int,
        now: UInt64
    ) {
        let waiting = Waiting(client: client, query: Array(query), limit: limit)
        // The answer for a stream is asked for over one, and may be longer.
        var shared = key
        shared?.append(client.isStream ? 1 : 0)
        if let shared, let id = underWay[shared] {
            guard let count = exchanges[id]?.waiting.count, count < Self.maximumWaiting else { return }
            exchanges[id]?.waiting.append(waiting)
            return
        }
        guard let question = try? RawMessage(ByteBuffer(bytes: query)).question() else {
            return reply(waiting, code: 1)
        }
        let place = routing.place(of: question.name)
        if case .nowhere = place { return reply(waiting, code: 3) }
        guard exchanges.count < Self.maximumExchanges else {
            statistics.failures &+= 1
            return reply(waiting, code: 2)
        }
        var id: UInt16 = random.next()
        while exchanges[id] != nil { id = random.next() }
        var exchange = Exchange(
            waiting: [waiting], key: shared, asked: question.name, wanted: question.name, message: ByteBuffer(),
            stage: .cluster(fallsBack: false), overStream: client.isStream, deadline: now + timing.deadline)
        if let shared { underWay[shared] = id }
        switch place {
        case .cluster(let wanted, let fallsBack):
            exchange.wanted = wanted
            exchange.stage = .cluster(fallsBack: fallsBack)
            // What may be outside does not wait for the cluster as long as what cannot be.
            if fallsBack { exchange.deadline = now + timing.clusterPatience }
            exchange.message = Self.message(query, raw, wanted)
            exchanges[id] = exchange
            askCluster(id, now: now)
        case .outside(let wanted):
            exchange.wanted = wanted
            exchange.message = Self.message(query, raw, wanted)
            exchanges[id] = exchange
            askServers(id, now: now)
        case .nowhere:
            break
        }
    }

    /// The query as it came, or for another name.
    private static func message(_ query: UnsafeRawBufferPointer, _ raw: RawQuery, _ wanted: Name) -> ByteBuffer {
        var message = ByteBuffer()
        message.reserveCapacity(query.count + wanted.wire.count)
        message.writeBytes(query[..<Header.length])
        message.writeBytes(wanted.wire)
        message.writeBytes(query[(raw.questionEnd - 4)...])
        return message
    }

    // MARK: The cluster

    private mutating func askCluster(_ id: UInt16, now: UInt64) {
        guard let exchange = exchanges[id] else { return }
        if !isClusterUp {
            let since = clusterDownSince ?? now
            clusterDownSince = since
            let end = since + timing.clusterPatience
            exchanges[id]?.deadline = min(exchange.deadline, max(end, now))
        }
        noteDeadline(id)
        emit(.askCluster(Self.with(id, exchange.message)))
        if let deadline = exchanges[id]?.deadline, deadline <= now { clusterFailed(id, now: now) }
    }

    /// There is a way to the cluster's DNS, or no longer.
    package mutating func clusterIsUp(_ isUp: Bool, now: UInt64) {
        guard isUp != isClusterUp else { return }
        isClusterUp = isUp
        clusterDownSince = isUp ? nil : now
        for (id, exchange) in exchanges {
            guard case .cluster = exchange.stage else { continue }
            if isUp { exchanges[id]?.deadline = now + timing.clusterPatience }
            askCluster(id, now: now)
        }
    }

    /// No answer: a name that may be one of the outside is asked for there.
    private mutating func clusterFailed(_ id: UInt16, now: UInt64) {
        guard case .cluster(let fallsBack) = exchanges[id]?.stage else { return }
        if fallsBack { fallBack(id, now: now) } else { fail(id) }
    }

    private mutating func fallBack(_ id: UInt16, now: UInt64) {
        guard let asked = exchanges[id]?.asked, let first = exchanges[id]?.waiting.first else { return }
        guard serverCount > 0 else { return finish(id) { Self.error($0, code: 3) } }
        exchanges[id]?.wanted = asked
        exchanges[id]?.message = ByteBuffer(bytes: first.query)
        exchanges[id]?.deadline = now + timing.deadline
        askServers(id, now: now)
    }

    // MARK: Other names

    package mutating func setServers(_ count: Int, now: UInt64) {
        serverCount = count
        preferred = 0
        for (id, exchange) in exchanges {
            guard case .servers = exchange.stage else { continue }
            askServers(id, now: now)
        }
    }

    private mutating func askServers(_ id: UInt16, now: UInt64) {
        guard let exchange = exchanges[id] else { return }
        guard serverCount > 0 else { return fail(id) }
        exchanges[id]?.stage = .servers(tries: 1, nextTry: now + timing.serverPatience)
        noteDeadline(id)
        emit(.askServer(preferred, overStream: exchange.overStream, Self.with(id, exchange.message)))
    }

    private mutating func tryNext(_ id: UInt16, now: UInt64) {
        guard let exchange = exchanges[id], case .servers(let tries, _) = exchange.stage else { return }
        // The first again when there is but one.
        let server = (preferred + tries) % max(serverCount, 1)
        let patience = timing.serverPatience << UInt64(min(tries, 4))
        exchanges[id]?.stage = .servers(tries: tries + 1, nextTry: now + patience)
        noteDeadline(id)
        emit(.askServer(server, overStream: exchange.overStream, Self.with(id, exchange.message)))
    }

    // MARK: Answers

    /// From the cluster's DNS.
    package mutating func receiveFromCluster(_ bytes: ByteBuffer, now: UInt64) {
        guard let (id, message) = expected(bytes), case .cluster(let fallsBack) = exchanges[id]?.stage else { return }
        if message.header.responseCode == 3, fallsBack, serverCount > 0 { return fallBack(id, now: now) }
        deliver(message, id, now: now)
    }

    /// From a server for all other names, by its index.
    package mutating func receive(_ bytes: ByteBuffer, fromServer server: Int, now: UInt64) {
        guard let (id, message) = expected(bytes), case .servers(let tries, _) = exchanges[id]?.stage else { return }
        // One that cannot, or does not want to: another may.
        if [2, 5].contains(message.header.responseCode), tries < serverCount { return tryNext(id, now: now) }
        if server < serverCount { preferred = server }
        deliver(message, id, now: now)
    }

    /// An answer to what was asked.
    private func expected(_ bytes: ByteBuffer) -> (UInt16, RawMessage)? {
        guard let message = try? RawMessage(bytes), message.header.isResponse,
            let exchange = exchanges[message.header.id], message.questionCount == 1,
            let question = try? message.question(), question.name == exchange.wanted,
            let wanted = try? RawMessage(exchange.message).question(),
            question.type == wanted.type, question.recordClass == wanted.recordClass
        else { return nil }
        return (message.header.id, message)
    }

    private mutating func deliver(_ message: RawMessage, _ id: UInt16, now: UInt64) {
        guard let exchange = exchanges[id] else { return }
        guard let answer = renamed(message, exchange) else { return fail(id) }
        if var key = exchange.key, let (lifetime, offsets) = try? answer.lifetime() {
            key.removeLast()
            let isNegative = answer.header.responseCode == 3 || answer.answerCount == 0
            let maximum = isNegative ? Self.maximumNegativeLifetime : Self.maximumLifetime
            answer.bytes.withUnsafeReadableBytes { bytes in
                cache.store(bytes, key: key, offsets: offsets, lifetime: min(lifetime, maximum), now: now)
            }
        }
        finish(id) { waiting in
            var bytes = answer.bytes
            bytes.setBytes(waiting.query[..<2], at: bytes.readerIndex)
            // The question in the letters of whoever asks.
            bytes.setBytes(
                waiting.query[Header.length..<Header.length + exchange.asked.wire.count],
                at: bytes.readerIndex + Header.length)
            guard bytes.readableBytes > waiting.limit else { return bytes }
            let end = Header.length + exchange.asked.wire.count + 4
            let hasEDNS = waiting.query.withUnsafeBytes { RawQuery($0)?.hasEDNS ?? false }
            var output = [UInt8](repeating: 0, count: Message.maximumLength)
            let length = output.withUnsafeMutableBytes { output in
                bytes.withUnsafeReadableBytes { output.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<end])) }
                return Self.truncate(output, to: end, hasEDNS: hasEDNS)
            }
            return ByteBuffer(bytes: output[..<length])
        }
    }

    /// The answer under the name that was asked for, and with addresses as they are shown; `nil`: it cannot be understood.
    private func renamed(_ message: RawMessage, _ exchange: Exchange) -> RawMessage? {
        var isTranslated = false
        if case .cluster = exchange.stage { isTranslated = !routing.shown.isEmpty }
        guard exchange.wanted != exchange.asked || isTranslated else { return message }
        guard var decoded = try? Message(reading: message.bytes) else { return nil }
        if isTranslated, let shown = routing.shown.shown(decoded) {
            decoded = shown
        } else if exchange.wanted == exchange.asked {
            return message
        }
        for index in decoded.questions.indices { decoded.questions[index].name = exchange.asked }
        for index in decoded.answers.indices where decoded.answers[index].name == exchange.wanted {
            decoded.answers[index].name = exchange.asked
        }
        return (try? decoded.encoded()).flatMap { try? RawMessage($0) }
    }

    /// Cuts an answer after its question: the client comes again by TCP. Returns the length.
    private static func truncate(_ output: UnsafeMutableRawBufferPointer, to end: Int, hasEDNS: Bool) -> Int {
        output[2] |= 0x02
        for index in 6..<Header.length { output[index] = 0 }
        guard hasEDNS else { return end }
        output[11] = 1
        let option: [UInt8] = [
            0, 0, 41, UInt8(EDNS.defaultPayloadSize >> 8), UInt8(EDNS.defaultPayloadSize & 0xff), 0, 0, 0, 0, 0, 0,
        ]
        for (index, byte) in option.enumerated() { output[end + index] = byte }
        return end + option.count
    }

    // MARK: Ends

    private mutating func finish(_ id: UInt16, _ answer: (Waiting) -> ByteBuffer) {
        guard let exchange = exchanges.removeValue(forKey: id) else { return }
        if let key = exchange.key { underWay[key] = nil }
        for waiting in exchange.waiting { emit(.reply(waiting.client, answer(waiting))) }
    }

    /// SERVFAIL.
    private mutating func fail(_ id: UInt16) {
        statistics.failures &+= 1
        finish(id) { Self.error($0, code: 2) }
    }

    private mutating func reply(_ waiting: Waiting, code: UInt8) {
        emit(.reply(waiting.client, Self.error(waiting, code: code)))
    }

    /// The question, and a response code.
    private static func error(_ waiting: Waiting, code: UInt8) -> ByteBuffer {
        let end = waiting.query.withUnsafeBytes { RawQuery($0)?.questionEnd ?? Header.length }
        var bytes = ByteBuffer(bytes: waiting.query[..<end])
        bytes.setInteger(waiting.query[2] & 0x01 | 0x80, at: 2)
        bytes.setInteger(waiting.query[3] & 0x10 | 0x80 | code, at: 3)
        bytes.setInteger(UInt16(end > Header.length ? 1 : 0), at: 4)
        for index in stride(from: 6, to: Header.length, by: 2) { bytes.setInteger(UInt16(0), at: index) }
        return bytes
    }

    // MARK: Time

    /// When `expire` is to be called, if nothing else happens; it may turn out to be too early.
    package var nextDeadline: UInt64? { exchanges.isEmpty ? nil : earliest }

    private mutating func noteDeadline(_ id: UInt16) {
        guard let exchange = exchanges[id] else { return }
        earliest = min(earliest, exchange.deadline)
        if case .servers(_, let nextTry) = exchange.stage { earliest = min(earliest, nextTry) }
    }

    package mutating func expire(now: UInt64) {
        earliest = .max
        defer { for id in exchanges.keys { noteDeadline(id) } }
        for (id, exchange) in exchanges {
            switch exchange.stage {
            case .cluster:
                if exchange.deadline <= now { clusterFailed(id, now: now) }
            case .servers(_, let nextTry):
                if exchange.deadline <= now { fail(id) } else if nextTry <= now { tryNext(id, now: now) }
            }
        }
    }

    private mutating func emit(_ effect: StubEffect) { effects.append(effect) }

    private static func with(_ id: UInt16, _ message: ByteBuffer) -> ByteBuffer {
        var message = message
        message.setInteger(id, at: message.readerIndex)
        return message
    }
}
