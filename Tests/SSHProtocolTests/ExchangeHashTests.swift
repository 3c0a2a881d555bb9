import Testing

@testable import SSHProtocol

@Suite struct ExchangeHashTests {
    @Test(
        arguments: [
            (
                KeyExchangeAlgorithm.curve25519SHA256,
                "e722e8c9aef3edad723b1a2ed86e98e793e1510816af83f9229ee01c6d4a0746"
            ),
            (
                .ecdhNISTP384,
                "3ab8990af31a6bb336426aa34ad6706597f83b8d6fae5fe9a492f627eb579ebf"
                    + "26bd398b9d14a187d13f608fa5364264"
            ),
            (
                .group16SHA512,
                "1797354ce5fb2e817bf746924865fc237c7ae0d60107da3c3ff4316db83a2271"
                    + "0612f1eebdd49f56dd4c199acb93e5ccc388677d0363305e3408d343cd4225e1"
            ),
        ])
    func coversItsPartsInOrder(_ algorithm: KeyExchangeAlgorithm, expected: String) {
        #expect(Self.sample.value(algorithm).hex == expected)
    }

    static let sample = ExchangeHash(
        clientIdentification: Array("SSH-2.0-client".utf8), serverIdentification: Array("SSH-2.0-server".utf8),
        clientProposal: [20] + Array("client proposal".utf8), serverProposal: [20] + Array("server proposal".utf8),
        hostKey: Array("host key".utf8), initiatorValue: Array(0..<32), responderValue: Array(128..<160),
        secret: SharedSecret(mpint: Array(200..<232)))
}
