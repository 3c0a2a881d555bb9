import Testing
import Workstation

@Suite struct DaemonPathsTests {
    @Test(arguments: ["default", "a", "staging-2", "a_b.c", "0"]) func namesOfSessions(_ name: String) throws {
        let paths = try DaemonPaths(name: name)
        #expect(paths.socket.hasSuffix("/\(name).sock"))
        #expect(paths.log.hasSuffix("/\(name).log"))
    }

    @Test(arguments: ["", "-x", ".x", "a/b", "..", "a b", "ä", "a\n", String(repeating: "a", count: 33)])
    func whatIsNoName(_ name: String) {
        #expect(throws: WorkstationError.self) { try DaemonPaths(name: name) }
    }
}
