import Testing

@testable import Workstation

@Suite struct UserMappingTests {
    @Test(
        arguments: [
            ("carol:100000:65536", [(100_000, 65_536)]),
            ("alice:1:2\ncarol:100000:65536\n1001:300000:10\n", [(100_000, 65_536), (300_000, 10)]),
            ("carol:x:1\ncarol:1\ncarol:1:0\ncarolina:1:1\n# carol:1:1\ncarol:1:4294967296\n", []),
            ("", []),
        ] as [(String, [(UInt32, UInt32)])])
    func ranges(text: String, expected: [(UInt32, UInt32)]) {
        let ranges = UserMapping.ranges(in: text, "carol", 1001)
        #expect(ranges == expected.map { UserMapping.Range(first: $0.0, count: $0.1) })
    }

    @Test(
        arguments: [
            // As the kernel shows what `set` had written.
            ("      1001       1001          1\n    100000     100000      65536\n", "0 1001 1\n1 100000 65536\n"),
            ("100000 100000 10\n1001 1001 1\n300000 300000 5\n", "0 1001 1\n1 100000 10\n11 300000 5\n"),
            // The user alone; somebody else; more than there are.
            ("1001 1001 1\n", nil),
            ("1000 1000 1\n100000 100000 65536\n", nil),
            ("1001 1001 1\n2000 2000 4294967295\n1 1 1\n", nil),
            ("", nil),
        ] as [(String, String?)])
    func nested(map: String, expected: String?) {
        #expect(UserMapping.nested(map, own: 1001) == expected)
    }

    @Test(
        arguments: [
            ([], 100_000),
            (["", "alice:1000:10\n"], 100_000),
            (["alice:100000:65536\nbob:165536:65536\n", "alice:100000:65536\n"], 231_072),
            (["alice:4294967290:65536\nbob:4294967000:5\n"], 100_000),
        ] as [([String], UInt32)])
    func nobodySharesWhatIsFree(texts: [String], expected: UInt32) {
        #expect(UserMapping.free(in: texts) == expected)
    }
}
