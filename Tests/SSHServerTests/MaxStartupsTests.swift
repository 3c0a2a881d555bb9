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
