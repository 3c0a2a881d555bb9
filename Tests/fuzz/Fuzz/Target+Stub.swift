import DNS
import NIOCore

extension Target {
    /// Queries and answers in turn, each after its length in one byte; an answer is given the id that is waited for, as who
    /// would harm us has to guess it.
    static let stub: [Target] = [
        Target(name: "dns-stub") {
            let query: [UInt8] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0, 0, 1, 0, 1]
            var answer = query
            answer[2] = 0x81
            answer[7] = 1
            answer += [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 43, 0, 1]
            return [[UInt8(query.count)] + query + [UInt8(answer.count)] + answer + [UInt8(query.count)] + query]
        } run: { bytes in
            var routing = StubRouting(domain: "cluster.local", namespace: "default")
            routing.shown.ranges = [AddressTranslation(real: 0x0a2b_0000, shown: 0xf600_0000, length: 16, isIPv4: true)]
            var machine = DNSStubMachine(routing: routing, serverCount: 2)
            machine.clusterIsUp(true, now: 1)
            var now: UInt64 = 1
            var asked: [ByteBuffer] = []
            var rest = bytes[...]
            while let length = rest.popFirst() {
                let piece = Array(rest.prefix(Int(length)))
                rest = rest.dropFirst(Int(length))
                now += 300_000_000
                if piece.count > 2, piece[2] & 0x80 != 0 {
                    var answer = ByteBuffer(bytes: piece)
                    let id: UInt16 = asked.last?.getInteger(at: 0) ?? 0
                    answer.setInteger(id, at: 0)
                    machine.receiveFromCluster(answer, now: now)
                    machine.receive(answer, fromServer: 0, now: now)
                } else {
                    var output = [UInt8](repeating: 0, count: 1280)
                    let written = output.withUnsafeMutableBytes { output in
                        piece.withUnsafeBytes {
                            machine.receive(
                                $0, from: StubClient(token: .zero, isStream: length & 1 == 1), now: now, output: output)
                        }
                    }
                    precondition((written ?? 12) >= 12, "an answer without a header")
                }
                machine.expire(now: now)
                for effect in machine.effects {
                    switch effect {
                    case .askCluster(let message), .askServer(_, _, let message): asked.append(message)
                    case .reply(_, let message):
                        precondition(message.readableBytes >= 12, "a reply without a header")
                    }
                }
                machine.effects = []
            }
        }
    ]
}
