import NIOCore
import SSHServer
import Testing

struct MaxStartupsTests {
    @Test(
        "the drop table of sshd",
        arguments: [
            (9, 99, false), (10, 29, true), (10, 30, false), (55, 64, true), (55, 65, false), (99, 98, true),
            (99, 99, false), (100, 99, true), (1000, 99, true),
        ])
    func drops(waiting: Int, draw: Int, isDropped: Bool) {
        #expect(MaxStartups().drops(waiting: waiting, draw: draw) == isDropped)
    }

    @Test("what can be written", arguments: ["10:30:100", "5", "1:100:1"])
    func parses(text: String) { #expect(MaxStartups(text) != nil) }

    @Test(
        "what cannot", arguments: ["", "0", "-1", "10:30", "10:0:100", "10:101:100", "100:30:10", "a", "1:2:3:4", "::"])
    func refuses(text: String) { #expect(MaxStartups(text) == nil) }

    @Test("one number is a hard limit")
    func hard() throws {
        let limit = try #require(MaxStartups("5"))
        #expect(!limit.drops(waiting: 4, draw: 0) && limit.drops(waiting: 5, draw: 99))
    }
}

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
