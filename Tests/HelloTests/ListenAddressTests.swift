import Testing

@testable import hello

@Suite struct ListenAddressTests {
    @Test(arguments: [
        ("127.0.0.1:8080", "127.0.0.1", 8080), ("[::1]:0", "::1", 0), ("localhost:65535", "localhost", 65535),
    ])
    func isReadAsItIsWritten(argument: String, host: String, port: Int) throws {
        let address = try ListenAddress.parse(argument)
        #expect(address == ListenAddress(host: host, port: port))
        #expect(address.description == argument)
    }

    @Test(arguments: ["", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80", "a:٣"])
    func refusesWhatIsNoAddress(argument: String) {
        #expect(throws: (any Error).self) { try ListenAddress.parse(argument) }
    }
}
