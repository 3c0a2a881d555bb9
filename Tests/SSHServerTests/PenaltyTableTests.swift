import NIOCore
import SSHServer
import Testing

struct PenaltyTableTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    @Test("penalties add up, are enforced from 15 s on, and then to their end")
    func adding() {
        var table = PenaltyTable(policy: PenaltyPolicy())
        table.punish("10.0.0.1", for: .authfail, now: start)
        table.punish("10.0.0.1", for: .authfail, now: start)
        #expect(!table.refuses("10.0.0.1", now: start))
        table.punish("10.0.0.1", for: .authfail, now: start)
        #expect(table.refuses("10.0.0.1", now: start))
        #expect(table.refuses("10.0.0.1", now: start + .seconds(14)))
        #expect(!table.refuses("10.0.0.1", now: start + .seconds(15)))
        #expect(!table.refuses("10.0.0.2", now: start))
        // Served in full: it begins anew.
        table.punish("10.0.0.1", for: .authfail, now: start + .seconds(20))
        #expect(!table.refuses("10.0.0.1", now: start + .seconds(20)))
    }

    @Test("no penalty is longer than the longest")
    func maximum() {
        var table = PenaltyTable(policy: PenaltyPolicy())
        for _ in 0..<100 { table.punish("2001:db8::1", for: .crash, now: start) }
        #expect(table.refuses("2001:db8::1", now: start + .minutes(10) - .nanoseconds(1)))
        #expect(!table.refuses("2001:db8::1", now: start + .minutes(10)))
    }

    @Test("loopback is never refused", arguments: ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
    func loopback(source: String) {
        var table = PenaltyTable(policy: PenaltyPolicy())
        for _ in 0..<100 { table.punish(source, for: .crash, now: start) }
        #expect(!table.refuses(source, now: start))
    }

    @Test("a full table lets new sources go free, by family, and has room again in time")
    func overflow() {
        var policy = PenaltyPolicy()
        policy.maximumSources = 10
        var table = PenaltyTable(policy: policy)
        for index in 0..<20 { table.punish("10.0.0.\(index)", for: .crash, now: start) }
        #expect(table.refuses("10.0.0.9", now: start) && !table.refuses("10.0.0.10", now: start))
        table.punish("2001:db8::1", for: .crash, now: start)
        #expect(table.refuses("2001:db8::1", now: start))
        let later = start + .minutes(2)
        table.punish("10.0.0.10", for: .crash, now: later)
        #expect(table.refuses("10.0.0.10", now: later))
    }

    @Test("where penalties are off nobody is refused")
    func disabled() {
        var policy = PenaltyPolicy()
        policy.isEnabled = false
        var table = PenaltyTable(policy: policy)
        table.punish("10.0.0.1", for: .crash, now: start)
        #expect(!table.refuses("10.0.0.1", now: start))
    }
}
