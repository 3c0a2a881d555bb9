import Testing

@testable import SSHProtocol

@Suite struct KeyDerivationTests {
    @Test(
        arguments: [
            (
                KeyDerivation.Letter.ivClientToServer, 12,
                "df8d81b88ee7f6ad39d5b217"
            ),
            (
                KeyDerivation.Letter.ivServerToClient, 16,
                "426b2268926e5e5034bb7127177f0c12"
            ),
            (
                KeyDerivation.Letter.keyClientToServer, 32,
                "fd3a4b32f8f535ab06bbbdfd27ec5bf41279c4e494c96934f81e61842e081c52"
            ),
            (
                KeyDerivation.Letter.keyServerToClient, 64,
                "84f88e389c3405b7efd7a509319fd2bb90150fdba8827d045ca315d661570929e98e71bb1ffa177a93f664640c"
                    + "c43caf1d628b61f2d64ddccce41979fa15626b"
            ),
            (
                KeyDerivation.Letter.macKeyClientToServer, 64,
                "e409f36cb7d19380fbf2fb0e9e4d6134961aa078804bdcfb74985bd6fa3bd9dfa8df2ddb3badfc59b71b8f106a"
                    + "012ce75f72768a7e9f847c581dc52db949966d"
            ),
            (
                KeyDerivation.Letter.macKeyServerToClient, 100,
                "080a611a7bc41365e62f693b54970ad42264679eccf35c82518457ded7e6cc1e590e17fa4343bf06ef84bfe16f"
                    + "9c5ea493ad15c823d0a19ae33160070a3dbf1be6e0be156b976206f06050c93662ee1a8114d8942b1956f3db67"
                    + "d5e8a80a9c628a7d39cd"
            ),
        ])
    func everyLetterAtAnyLength(_ letter: KeyDerivation.Letter, length: Int, expected: String) {
        let derivation = KeyDerivation(
            hash: .sha256, secret: ExchangeHashTests.sample.secret,
            exchangeHash: ExchangeHashTests.sample.value(.curve25519SHA256),
            sessionIdentifier: Array("session id".utf8))
        #expect(derivation.bytes(letter, length: length).hex == expected)
        #expect(derivation.bytes(letter, length: 0).isEmpty)
    }
}
