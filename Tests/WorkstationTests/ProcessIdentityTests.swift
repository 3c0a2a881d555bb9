import Glibc
import Testing

@testable import Workstation

@Suite struct ProcessIdentityTests {
    @Test func thisProcessRuns() throws {
        let own = try #require(ProcessIdentity.current)
        #expect(own.isRunning)
        #expect(ProcessIdentity(own.description) == own)
        var other = own
        other.started += 1
        #expect(!other.isRunning)
        #expect(ProcessIdentity(of: 0) == nil)
    }

    @Test func aNameMayHoldAnything() {
        let rest = (4...21).map { "\($0)" }.joined(separator: " ")
        #expect(ProcessIdentity.started(in: "7 (a) b) (c) S \(rest) 4711 0 0\n") == 4711)
        #expect(ProcessIdentity.started(in: "7 (a) Z \(rest) 4711 0 0\n") == nil)
        #expect(ProcessIdentity.started(in: "7 (a) S 1 2") == nil)
        #expect(ProcessIdentity.started(in: "") == nil)
    }

    @Test(arguments: ["", "1", "1:", ":1", "0:1", "-1:1", "1:2:3", "a:b"])
    func refusesWhatIsNone(text: String) {
        #expect(ProcessIdentity(text) == nil)
    }
}
