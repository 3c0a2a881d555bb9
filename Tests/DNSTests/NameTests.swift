import DNS
import Testing

struct NameTests {
    @Test(arguments: [
        ("hello.default.svc.cluster.local", "hello.default.svc.cluster.local."),
        ("hello.default.svc.cluster.local.", "hello.default.svc.cluster.local."),
        (".", "."), ("_http._tcp.Hello", "_http._tcp.Hello."), (#"a\.b.c"#, #"a\.b.c."#),
        (#"\009\255\\"#, #"\009\255\\."#),
        (#"a\032b"#, #"a\032b."#), (String(repeating: "a", count: 63), String(repeating: "a", count: 63) + "."),
    ])
    func readsAndPrints(text: String, printed: String) throws {
        #expect(try Name(text).description == printed)
        #expect(try Name(printed) == Name(text))
    }

    @Test(arguments: [
        ("", DNSError.emptyLabel), ("a..b", .emptyLabel), (".a", .emptyLabel), ("..", .emptyLabel),
        (String(repeating: "a", count: 64), .labelTooLong), (#"a\"#, .badEscape), (#"a\25"#, .badEscape),
        (#"a\256"#, .badEscape), (Array(repeating: "abcdefg", count: 32).joined(separator: "."), .nameTooLong),
    ])
    func refusesWhatIsNoName(text: String, error: DNSError) {
        #expect(throws: error) { try Name(text) }
    }

    @Test func givesUpOnEndlessText() {
        let isRefused: Bool
        do throws(DNSError) {
            isRefused = try Name(String(repeating: "a.", count: 100_000)).isRoot
        } catch {
            isRefused = error == .nameTooLong
        }
        #expect(isRefused)
    }

    @Test func takesTheLongestName() throws {
        // 63 + 63 + 63 + 61 letters, four lengths and the root: 255.
        let text = [63, 63, 63, 61].map { String(repeating: "x", count: $0) }.joined(separator: ".")
        #expect(try Name(text).wire.count == Name.maximumLength)
        #expect(throws: DNSError.nameTooLong) { try Name(text + "x") }
    }

    @Test func comparesLettersWithoutCase() throws {
        #expect(Name("HELLO.Default") == Name("hello.dEFAULT"))
        #expect(Name("HELLO").hashValue == Name("hello").hashValue)
        #expect(Name("hello") != Name("hallo"))
        // Only letters have case: `@` and a backquote are as far apart as `A` and `a`.
        #expect(Name("@") != Name("`"))
    }

    @Test(arguments: [
        ("hello.cluster.local", "cluster.local", true), ("cluster.local", "cluster.local", true),
        ("HELLO.CLUSTER.LOCAL", "cluster.local", true), ("xcluster.local", "cluster.local", false),
        ("local", "cluster.local", false), ("a.b", ".", true),
    ])
    func knowsWhatIsBelow(name: String, parent: String, isWithin: Bool) throws {
        #expect(try Name(name).isWithin(Name(parent)) == isWithin)
    }
}
