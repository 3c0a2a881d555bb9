import Testing

@testable import SSHProtocol

@Suite struct PatternTests {
    @Test(arguments: [
        ("", "", true), ("", "*", true), ("", "?", false), ("a", "", false), ("abc", "abc", true),
        ("abc", "abcd", false),
        ("abc", "a*", true), ("abc", "*c", true), ("abc", "*b*", true), ("abc", "a?c", true), ("abc", "??", false),
        ("abc", "****", true), ("abc", "a*b", false), ("aab", "*ab", true), ("mississippi", "m*iss*ippi", true),
        ("mississippi", "m*iss*ippx", false), ("ABC", "abc", false), ("*", "[*]", false),
    ])
    func matches(string: String, pattern: String, expected: Bool) {
        #expect(Pattern.matches(string.utf8, pattern.utf8) == expected)
    }

    /// A pattern of many stars must not take exponential time.
    @Test(.timeLimit(.minutes(1))) func isQuickWithManyStars() {
        let pattern = String(repeating: "*a", count: 100) + "b"
        #expect(!Pattern.matches(String(repeating: "a", count: 1000).utf8, pattern.utf8))
    }

    @Test(arguments: [
        ("a", "a", Pattern.ListMatch.matched), ("a", "b,a", .matched), ("a", "a,!a", .negated), ("a", "!a,a", .negated),
        ("a", "!b", .notMatched), ("A.Example", "a.EXAMPLE", .matched), ("a", "", .notMatched), ("", "", .matched),
    ])
    func matchesLists(string: String, list: String, expected: Pattern.ListMatch) {
        #expect(Pattern.matchesList(string, list) == expected)
    }

    @Test(arguments: [
        ("1.2.3.4", "1.2.3.4"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
        ("::", "0:0:0:0:0:0:0:0"),
        ("::1", "0:0:0:0:0:0:0:1"), ("2001:DB8::1", "2001:db8:0:0:0:0:0:1"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("1::", "1:0:0:0:0:0:0:0"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ("::ffff:1.2.3.4", "0:0:0:0:0:ffff:102:304"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
    ])
    func readsAddresses(text: String, expected: String) {
        #expect(IPAddress(text)?.description == expected)
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.04", "1.2.3.", ".1.2.3", "1.2.3.4 ", "+1.2.3.4", "0x1.2.3.4",
        ":", ":::", "1:::2", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "12345::", "g::",
        ":1",
        "1:", "1.2.3.4::", "::1.2.3", "::1.2.3.4:1", "[::1]", "::1%lo", "::+1", "1:2:3:4:5:6:7:1.2.3.4", "-1::",
    ])
    func refusesWhatIsNoAddress(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false), ("0.0.0.0/0", "1.2.3.4", true),
        ("0.0.0.0/0", "::1", false), ("::/0", "::1", true), ("2001:db8::/33", "2001:db8:7fff::1", true),
        ("2001:db8::/33", "2001:db8:8000::1", false), ("192.168.1.128/25", "192.168.1.127", false),
        ("192.168.1.128/25", "192.168.1.255", true), ("::1", "::1", true), ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ("fe80::/10", "fe80::1%eth0", true), ("10.0.0.0/8", "not an address", false), ("*", "not an address", true),
    ])
    func matchesSources(list: String, source: String, expected: Bool) {
        #expect(SourceAddress(source).matches(patternList: list) == (expected ? .matched : .notMatched))
    }
}
