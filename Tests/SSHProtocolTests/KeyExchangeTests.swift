import Testing

@testable import SSHProtocol

@Suite struct KeyExchangeTests {
    @Test(arguments: KeyExchangeAlgorithm.allCases)
    func bothSidesAgree(_ algorithm: KeyExchangeAlgorithm) throws {
        let initiator = try KeyExchangeInitiator(algorithm)
        let (reply, secret) = try KeyExchangeResponder.respond(algorithm, to: initiator.publicValue)
        #expect(try initiator.sharedSecret(reply: reply).encoded == secret.encoded)
        #expect(secret.encoded.count > 30)
    }
}
