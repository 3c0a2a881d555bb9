import Testing

@testable import SSHProtocol

@Suite struct KeyExchangeResponderTests {
    @Test(arguments: KeyExchangeAlgorithm.allCases)
    func bothSidesAgree(_ algorithm: KeyExchangeAlgorithm) throws {
        let initiator = try KeyExchangeInitiator(algorithm)
        let (reply, secret) = try KeyExchangeResponder.respond(algorithm, to: initiator.publicValue)
        #expect(try initiator.sharedSecret(reply: reply).encoded == secret.encoded)
        #expect(secret.encoded.count > 30)
    }

    @Test(arguments: KeyExchangeAlgorithm.allCases)
    func everyExchangeHasItsOwnSecret(_ algorithm: KeyExchangeAlgorithm) throws {
        let initiator = try KeyExchangeInitiator(algorithm)
        let first = try KeyExchangeResponder.respond(algorithm, to: initiator.publicValue)
        let second = try KeyExchangeResponder.respond(algorithm, to: initiator.publicValue)
        #expect(first.publicValue != second.publicValue)
        #expect(first.secret.encoded != second.secret.encoded)
        #expect(try KeyExchangeInitiator(algorithm).publicValue != initiator.publicValue)
    }

    /// A value, and how it is wrong.
    struct BadValue: Sendable, CustomTestStringConvertible {
        var algorithm: KeyExchangeAlgorithm
        var what: String
        var value: [UInt8]
        var testDescription: String { "\(algorithm.rawValue): \(what)" }
    }

    @Test(arguments: badValues)
    func badValuesAreRefusedByTheServer(_ bad: BadValue) {
        #expect(throws: Disconnect(.keyExchangeFailed, "bad key exchange value")) {
            try KeyExchangeResponder.respond(bad.algorithm, to: bad.value)
        }
    }

    @Test(arguments: badReplies)
    func badValuesAreRefusedByTheClient(_ bad: BadValue) throws {
        let initiator = try KeyExchangeInitiator(bad.algorithm)
        #expect(throws: Disconnect(.keyExchangeFailed, "bad key exchange value")) {
            try initiator.sharedSecret(reply: bad.value)
        }
    }

    @Test(arguments: [KeyExchangeAlgorithm.group14SHA256, .group16SHA512])
    func largestAndSmallestGroupValuesAreAccepted(_ algorithm: KeyExchangeAlgorithm) throws {
        let prime = [UInt8](hex: algorithm == .group14SHA256 ? Self.prime14 : Self.prime16)
        for value in [[2], Self.minus(prime, 2)] {
            #expect(try KeyExchangeResponder.respond(algorithm, to: value).secret.encoded.count > 4)
        }
    }

    /// Points whose order divides 8 (RFC 7748 §6.1); every scalar takes them to zero.
    static let smallOrderPoints: [[UInt8]] = [
        [UInt8](repeating: 0, count: 32), [1] + [UInt8](repeating: 0, count: 31),
        [UInt8](hex: "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        [UInt8](hex: "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        [0xec] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
        [0xed] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
        [0xee] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
    ]

    static let badValues: [BadValue] = badReplies.filter { $0.algorithm != .mlkem768x25519SHA256 } + badKeys

    /// Bad for the client as replies, and but for ML-KEM's, whose two values differ, for the server too.
    static let badReplies: [BadValue] = KeyExchangeAlgorithm.allCases.flatMap { algorithm in
        var bad = [("empty", [UInt8]())]
        guard let initiator = try? KeyExchangeInitiator(algorithm),
            let good = try? KeyExchangeResponder.respond(algorithm, to: initiator.publicValue).publicValue
        else {
            Issue.record("no \(algorithm.rawValue)")
            return [BadValue]()
        }
        switch algorithm {
        case .group14SHA256, .group16SHA512:
            let prime = [UInt8](hex: algorithm == .group14SHA256 ? prime14 : prime16)
            bad += [
                ("0", [0]), ("1", [1]), ("p - 1", minus(prime, 1)), ("p", prime), ("above p", prime.map { _ in 0xff }),
                ("one byte more than p", [1] + prime), ("1 MiB", [UInt8](repeating: 1, count: 1 << 20)),
            ]
        case .ecdhNISTP256, .ecdhNISTP384, .ecdhNISTP521:
            bad += [
                ("one byte less", good.dropLast()), ("one byte more", good + [0]),
                ("compressed form", [2] + good[1..<(good.count / 2 + 1)]),
                ("hybrid form", [6] + good.dropFirst()), ("infinity", [0]),
                ("a point off the curve", good.dropLast() + [(good.last ?? 0) ^ 1]),
                ("all zeros", [4] + good.dropFirst().map { _ in 0 }),
                ("coordinates above p", [4] + good.dropFirst().map { _ in 0xff }),
            ]
        case .curve25519SHA256, .curve25519SHA256LibSSH, .mlkem768x25519SHA256:
            let prefix = good.dropLast(32)
            bad += [("one byte less", good.dropLast()), ("one byte more", good + [0])]
            bad += smallOrderPoints.map { ("a point of small order", prefix + $0) }
        }
        return bad.map { BadValue(algorithm: algorithm, what: $0.0, value: Array($0.1)) }
    }

    /// Bad as C_INIT of ML-KEM.
    static let badKeys: [BadValue] = {
        guard let good = try? KeyExchangeInitiator(.mlkem768x25519SHA256).publicValue else {
            Issue.record("no ML-KEM")
            return []
        }
        // The first coefficient, 12 bits little-endian, becomes 4095, and so is not below 3329.
        let notReduced: [UInt8] = [0xff, good[1] | 0x0f] + good.dropFirst(2)
        var bad: [(String, [UInt8])] = [
            ("empty", []), ("one byte less", good.dropLast()), ("one byte more", good + [0]),
            ("only the ML-KEM key", Array(good.prefix(1184))), ("only the X25519 key", Array(good.suffix(32))),
            ("a key that is not reduced", notReduced),
        ]
        bad += smallOrderPoints.map { ("a point of small order", good.prefix(1184) + $0) }
        return bad.map { BadValue(algorithm: .mlkem768x25519SHA256, what: $0.0, value: $0.1) }
    }()

    /// `number` is odd and greater than `small`.
    static func minus(_ number: [UInt8], _ small: UInt8) -> [UInt8] {
        number.dropLast() + [(number.last ?? 0) - small]
    }

    // The primes of RFC 3526 §3 and §5.
    static let prime14 = """
        FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF95
        19B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB
        5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3
        AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E8603
        9B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFF
        FFFFFFFFFFFF
        """

    static let prime16 = """
        FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF95
        19B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB
        5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3
        AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E8603
        9B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33
        170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7ABF5AE8CDB0933D71E8C94E0
        4A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD9
        46E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D788719A10BDBA5B2699C327186AF4E23C
        1A946834B6150BDA2583E9CA2AD44CE8DBBBC2DB04DE8EF92E8EFC141FBECAA6287C59474E6BC05D99B2964FA090C3A2233B
        A186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA993B4EA988D8FDDC186FFB7DC90A6C08F4DF435C9
        34063199FFFFFFFFFFFFFFFF
        """
}
