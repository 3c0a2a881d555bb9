import Forwarding
import NIOCore
import Testing

@Suite struct ProxyMachineTests {
    private func run(_ machine: inout ProxyMachine, _ bytes: [UInt8]) -> [SOCKSMachine.Effect] {
        var input = ByteBuffer(bytes: bytes)
        var effects: [SOCKSMachine.Effect] = []
        while let effect = machine.receive(&input) { effects.append(effect) }
        return effects
    }

    @Test func theFirstByteTellsTheProtocol() {
        var http = ProxyMachine(offering: .http)
        #expect(
            run(&http, Array("CONNECT a:1 HTTP/1.1\r\n\r\n".utf8)) == [.connect(SOCKSRequest(host: "a", port: 1))])
        var five = ProxyMachine(offering: .http)
        #expect(
            run(&five, [5, 1, 0, 5, 1, 0, 3, 1, 97, 0, 1])
                == [.send(ByteBuffer(bytes: [5, 0])), .connect(SOCKSRequest(host: "a", port: 1))])
        var four = ProxyMachine(offering: .http)
        #expect(run(&four, [4, 1, 0, 1, 10, 0, 0, 1, 0]) == [.connect(SOCKSRequest(host: "10.0.0.1", port: 1))])
    }

    @Test func whatIsNotOfferedIsNotSpoken() {
        var machine = ProxyMachine()
        #expect(run(&machine, Array("CONNECT a:1 HTTP/1.1\r\n\r\n".utf8)) == [.close])
        var five = ProxyMachine(offering: .http)
        let refusal = ByteBuffer(bytes: [5, 7, 0, 1, 0, 0, 0, 0, 0, 0])
        #expect(
            run(&five, [5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0]) == [
                .send(ByteBuffer(bytes: [5, 0])), .refuse(refusal),
            ])
    }

    @Test func anAssociationIsAnsweredWithItsAddress() throws {
        var machine = ProxyMachine(offering: [.http, .datagrams])
        let effects = run(&machine, [5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0x12, 0x34])
        #expect(effects.last == .associate(SOCKSRequest(host: "0.0.0.0", port: 0x1234)))
        let v4 = try SocketAddress(ipAddress: "127.0.0.1", port: 258)
        #expect(machine.succeed(boundTo: v4).reply == ByteBuffer(bytes: [5, 0, 0, 1, 127, 0, 0, 1, 1, 2]))
        machine = ProxyMachine(offering: .datagrams)
        _ = run(&machine, [5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0])
        let v6 = try SocketAddress(ipAddress: "::1", port: 1)
        let reply = [5, 0, 0, 4] + [UInt8](repeating: 0, count: 15) + [1, 0, 1]
        #expect(machine.succeed(boundTo: v6).reply == ByteBuffer(bytes: reply))
    }

    /// Bytes of any kind, in pieces of any length: no trap, one decision at most, nothing taken after it.
    @Test(arguments: 0..<8) func anyBytesAreTaken(_ seed: UInt64) {
        var random = SeededGenerator(seed)
        let seeds: [[UInt8]] = [
            [5, 1, 0, 5, 1, 0, 3, 5, 104, 101, 108, 108, 111, 0, 80], [5, 2, 0, 2, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0],
            [5, 1, 0, 5, 1, 0, 4] + [UInt8](repeating: 1, count: 18), [4, 1, 0, 80, 0, 0, 0, 1, 117, 0, 97, 0],
            Array("CONNECT hello:80 HTTP/1.1\r\nHost: hello\r\n\r\n".utf8),
            Array("GET http://hello/x HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbody".utf8),
        ]
        for _ in 0..<4000 {
            var bytes = seeds.randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let place = Int.random(in: 0...bytes.count, using: &random)
                switch Int.random(in: 0...3, using: &random) {
                case 0 where place < bytes.count: bytes[place] = .random(in: .min ... .max, using: &random)
                case 1: bytes.insert(.random(in: .min ... .max, using: &random), at: place)
                case 2 where place < bytes.count: bytes.remove(at: place)
                default: bytes.append(contentsOf: bytes.suffix(min(40, bytes.count)))
                }
            }
            var machine = ProxyMachine(offering: [.http, .datagrams])
            var input = ByteBuffer()
            var isDecided = false
            while !bytes.isEmpty {
                let count = min(bytes.count, Int.random(in: 1...12, using: &random))
                input.writeBytes(bytes.prefix(count))
                bytes.removeFirst(count)
                while let effect = machine.receive(&input) {
                    #expect(!isDecided)
                    if case .send = effect { continue }
                    isDecided = true
                }
            }
            if Bool.random(using: &random) { _ = machine.succeed() } else { _ = machine.fail(.generalFailure) }
            #expect(machine.receive(&input) == nil || !isDecided)
        }
    }
}

/// Splitmix64: the same numbers for the same seed.
private struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
