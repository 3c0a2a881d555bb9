import NIOCore
import Testing

@testable import DNS

/// A stub with a clock of its own, and what it does.
struct StubHarness: ~Copyable {
    static let client = StubClient(token: SIMD4(1, 2, 3, 4), isStream: false)
    static let stream = StubClient(token: SIMD4(9, 0, 0, 0), isStream: true)
    static let second: UInt64 = 1_000_000_000

    var machine: DNSStubMachine
    var now: UInt64 = 5 * StubHarness.second

    init(servers: Int = 2, clusterIsUp: Bool = true, _ change: (inout StubRouting) -> Void = { _ in }) {
        var routing = StubRouting(domain: "cluster.local", namespace: "default")
        change(&routing)
        machine = DNSStubMachine(routing: routing, serverCount: servers)
        if clusterIsUp { machine.clusterIsUp(true, now: now) }
    }

    static func query(
        _ name: Name, _ type: RecordType = .a, id: UInt16 = 7, payload: UInt16? = nil
    ) throws -> ByteBuffer {
        var header = Header(id: id)
        header.recursionDesired = true
        let edns = payload.map { EDNS(payloadSize: $0) }
        return try Message(header: header, questions: [Question(name: name, type: type)], edns: edns).encoded()
    }

    /// The answer that is given at once, if any.
    mutating func ask(_ query: ByteBuffer, from client: StubClient = StubHarness.client) throws -> Message? {
        var output = [UInt8](repeating: 0, count: 1280)
        let time = now
        let length = output.withUnsafeMutableBytes { output in
            query.withUnsafeReadableBytes { machine.receive($0, from: client, now: time, output: output) }
        }
        return try length.map { try Message(reading: ByteBuffer(bytes: output[..<$0])) }
    }

    /// What is to be done since the last time.
    mutating func effects() -> [StubEffect] {
        defer { machine.effects = [] }
        return machine.effects
    }

    /// What the cluster was asked; there must be nothing else to do.
    mutating func askedOfCluster() throws -> ByteBuffer {
        let effects = effects()
        guard effects.count == 1, case .askCluster(let message) = effects[0] else {
            throw Unexpected(effects: effects)
        }
        return message
    }

    mutating func askedOfServer() throws -> (Int, Bool, ByteBuffer) {
        let effects = effects()
        guard effects.count == 1, case .askServer(let index, let overStream, let message) = effects[0] else {
            throw Unexpected(effects: effects)
        }
        return (index, overStream, message)
    }

    /// The one reply.
    mutating func reply() throws -> Message {
        let effects = effects()
        guard effects.count == 1, case .reply(_, let message) = effects[0] else { throw Unexpected(effects: effects) }
        return try Message(reading: message)
    }

    struct Unexpected: Error {
        var effects: [StubEffect]
    }

    mutating func pass(_ seconds: Double) {
        now += UInt64(seconds * Double(Self.second))
        machine.expire(now: now)
    }

    /// An answer to a query with these records.
    static func answer(
        _ query: ByteBuffer, _ records: [ResourceRecord] = [], code: ResponseCode = .noError, soa: UInt32? = nil,
        truncated: Bool = false
    ) throws -> ByteBuffer {
        var message = try Message(reading: query)
        message.header.isResponse = true
        message.header.isTruncated = truncated
        message.responseCode = code
        message.answers = records
        if let soa {
            message.authorities = [
                ResourceRecord(
                    name: "cluster.local", timeToLive: 3600,
                    data: .soa(
                        StartOfAuthority(
                            primaryServer: "ns.cluster.local", responsible: "x.cluster.local", serial: 1, refresh: 1,
                            retry: 1, expire: 1, minimum: soa)))
            ]
        }
        return try message.encoded()
    }

    static func address(_ name: Name, _ number: UInt32 = 0x0a2b_460c, ttl: UInt32 = 5) -> ResourceRecord {
        ResourceRecord(name: name, timeToLive: ttl, data: .a(number))
    }
}
