import Testing
import Workstation

@Suite struct ManagerAddressTests {
    @Test(arguments: [
        ("m", "m", 8022), ("m:22", "m", 22), ("10.0.0.2:1", "10.0.0.2", 1), ("::1", "::1", 8022),
        ("[::1]", "::1", 8022), ("[::1]:65535", "::1", 65535),
    ])
    func isRead(_ text: String, _ host: String, _ port: Int) throws {
        let address = try ManagerAddress(parsing: text)
        #expect(address.host == host)
        #expect(Int(address.port) == port)
    }

    @Test(arguments: ["", ":1", "m:", "m:0", "m:65536", "m:+1", "-x", "a b", "[::1", "[::1]x"])
    func isRefused(_ text: String) {
        #expect(throws: ManagerAddress.Problem.self) { try ManagerAddress(parsing: text) }
    }
}
