import Crypto
import Testing

@testable import SSHProtocol

/// Values and secrets that another implementation (Python's `cryptography` and integers) computed.
@Suite struct EphemeralKeyTests {
    /// The secret's first bit is set; its first byte is 0.
    @Test(
        arguments: [
            (
                "798cbd64d78c4a0fba338b2a6349634940dc4e5b601db1029e02c41e0fe05679",
                "0000002100fe884ab38d0dc444d61868bca0057aa5d74cdb5ba164ce488f27341a22d26e32"
            ),
            (
                "8a755537ba47ab43dae38f3bd77b8b8ec8b67cb2f4e321e7c3e545aee29e223a",
                "00000020008daf3d9fc5846b7e64e80234b1d37e541d981c31031507729a656914301434"
            ),
        ])
    func x25519(peer: String, secret: String) throws {
        let key = try EphemeralKey.x25519(.init(rawRepresentation: [UInt8](0..<32)))
        #expect(try key.sharedSecret(with: [UInt8](hex: peer)).encoded.hex == secret)
    }

    @Test func p256() throws {
        let scalar = [UInt8](repeating: 0, count: 0) + [UInt8](1...32)
        let key = try EphemeralKey.p256(.init(rawRepresentation: scalar))
        let peer = [UInt8](
            hex: "041f140146bfb1b251f84f4ddbe0d4cdcfd77afd984a9520e35794021f8312bb9eec995a08b1fa7704df3dcc0b"
                + "50a9665263fb7711f95f9f8a449c5096e47c892b")
        #expect(
            try key.sharedSecret(with: peer).encoded.hex
                == "000000204fe243908f378aa1c2a69538822e6ed908c3225d8692575507c649901245150a")
    }

    @Test func p384() throws {
        let scalar = [UInt8](repeating: 0, count: 16) + [UInt8](1...32)
        let key = try EphemeralKey.p384(.init(rawRepresentation: scalar))
        let peer = [UInt8](
            hex: "042085abbc362a2434ed47aafce7ecd871456704533a2ea75ec09774b6dd046e4dec03e95d0a2de633b7d2610c"
                + "1f1a0fb42376f67a470feca8751c1921efc33a111585f04fdec927e1bdb9f27194c77babab13aba95e0b30a144"
                + "378201929d130c")
        #expect(
            try key.sharedSecret(with: peer).encoded.hex
                == "000000301e195e46b8932d3d295869e74054953281971bda80f7e237db4033b67a542644802b02104a420380ae"
                + "631253f4718ee5")
    }

    @Test func p521() throws {
        let scalar = [UInt8](repeating: 0, count: 34) + [UInt8](1...32)
        let key = try EphemeralKey.p521(.init(rawRepresentation: scalar))
        let peer = [UInt8](
            hex: "04017549d597f22fa7f84275ab15bc2d7ec4d440846085ca8f3c6382a91e8eaf026a485a6a818e52293d445f17"
                + "d3bba20bc4d2f67958189cdbfaee10cce77767a8a71d004d1e6d663fcd12cf434b4d6e34274f02655b0481ede5"
                + "9301bc6749cdb24c8c9b67e0fcb157aa3cbab5e6a09065188603a8ecbe92f38c875f8a16cb153c1d79a2d9")
        #expect(
            try key.sharedSecret(with: peer).encoded.hex
                == "0000004157ed365bb5715aae2c60465498d794422914306f5c60f7044f847586dd8f6698ec9b4a9f24543a70c0"
                + "60d15e74ec42cdfa312d053599feed4810a01cd8f7318799")
    }

    @Test(
        arguments: [
            (
                ModularGroup.group14, "5141ed60d422816c251a9a61f4dc090fc6161ec870357a0af29fb84a0bb34e5e",
                "461791fd4f6eed73db3a311597ad7d35f6a9683fb5161c000382cdeecf7d9e3b"
            ),
            (
                ModularGroup.group16, "0439872574dafc9b300359ea0dd742c3976ccf9fa56883bdb8268462adedf8cf",
                "9bcfd6ae2ebb67b8641c210e7313ae0b4bd485ff0dd0b51300fde61ffd1dd024"
            ),
        ])
    func group(_ group: ModularGroup, valueDigest: String, secretDigest: String) throws {
        let key = EphemeralKey.group(group, exponent: [UInt8](1...64))
        let peer = EphemeralKey.group(group, exponent: [UInt8](65...128))
        #expect(HashAlgorithm.sha256.hash(try key.publicValue()).hex == valueDigest)
        let secret = try key.sharedSecret(with: peer.publicValue())
        #expect(HashAlgorithm.sha256.hash(secret.encoded).hex == secretDigest)
        #expect(try peer.sharedSecret(with: key.publicValue()).encoded == secret.encoded)
    }

    @Test func mlkem768x25519() throws {
        let key = EphemeralKey.mlkem768x25519(
            try MLKEM768.PrivateKey(seedRepresentation: [UInt8](0..<64), publicKey: nil),
            try .init(rawRepresentation: [UInt8](0..<32)))
        let value = try key.publicValue()
        #expect(value.count == 1216)
        #expect(
            HashAlgorithm.sha256.hash(Array(value.prefix(1184))).hex
                == "0b7934c83125c788995e2ba6bd761e33046b3e40571be53e023309a29f398cc9")
        // A `string`, not an `mpint`.
        #expect(
            try key.sharedSecret(with: [UInt8](hex: Self.reply)).encoded.hex
                == "000000208af58225f8eba7a2a6884e9a4cf383ec8409fed7c22be189d934996a7a6e1b85")
    }

    static let reply = """
        0835ab874e3b868388cd5296d29430e75887cf6514eee4105690a9f1d0ad7cee5945cd4ce56f0ecb9165a299f3eac2322a60
        0e8c4b1849e8813ec1bd7b8f95912b0ae7733a922194f350996283870eb452ea16a8a53d250ba535a566c7fd075426752e23
        c2f3e57ceb8e34cc1c0d2ee10b7023a6c1e62df78996f23567d8a382ddb0bf5cb2f472f6a871d30d18d6cb360e44c4102fb1
        ab968d16681501552afd0a0793133bda49b0de88e1a0f60431d682341e7e0df70406dce7eb64ed1fd0ae7204626ec41b2aa3
        e30b393c964b81e43a26416768ca58eaf978e95a74d8fbef6040a253cc9ed5af440e0c385fd0f3cdde2fc2a95b59fe81be82
        52ec35c52a49e3a48a921d7b580bc88c3d013a941208dc254834c169f432238cded545b06e70ede71ae67e24af36b91d004b
        bcda2aafbd22b8f0028aace87147008d4e6c8e455a2cf118dc2cd9c96de91b9b22b41fbf1c5a9df792dadd0cf4c94cda40ab
        aa6738b463ac22b3b6a3e05b9db0ee7b567827801217a095599582b804ce80b482bd7d2e037576212a93ae736b2b36beed1f
        3de869f7d1a45e4977df80c3685f2435e18b6de400cf77292ff8d7de173d51063adf4a125906174e8facfb260e25ef2dfbe1
        c05cd7cb668adcdaa0b5e11d4fafdcf57daae5176bacf1aa1665c0fc3c1f21e67b3f79339ed733f92b3dcc27e08c76f5e982
        57a784b9a1bea45df54a4beed9d3de24e55a2ff89c14f121bc09c252ac981f64b3bbdb6c2b0727c8285bdfca7c99e53d24be
        4842fa4c5c54959f6d9cd83cbe21da7dec8c74ea47badae6fdec1e938cf532aa71522a96994a2e83c19e0de0d27b4744d09f
        1780f9342c48df88f63a621fbd7249a81cb1fa812d181183265efc489b11b0feaeaab4e089825eff0bd85cca2ae54b189860
        68b57b9851f7a904edc13dd2faff5550d720a0d02b093008db6d9bb4c297a32ddc269dbbef19f9b8ce1cabccafcf6ebd1af8
        1db21448930cdb69fac4008c2c544c3d35c6fe81a4ce6b6d6156f3af8e04a7e6f0683d3d930fe0e7a1ad8013a880e81482cb
        2e4898ab25cdc65c3f0d23a7e7c077c11029a93553345de3eb78edf34d8ded29a8fc956532c2982cde3f51624930c5e58c61
        6402889af9bab9fc398707172ba1c1798f341c3a70361c1e5844ba8c1b1158d11ada19a8161e5379bc0d8a4063d715a9cda4
        bb22c0d4b972ab0eb2b34e6fe8634a0cbb9a562cb3a59eee2af62e6b7d153cca4ba4644e9cd0847f7f78273a3136dfdd37f5
        449c44e5018fc7abf3d7eb0e9faf10068cbdf4c8330f2a91a19cc02f2e7e921a7005ca591eba064f6f63c848c95407c0c278
        8148917cb27dd4a2b3c91f90aad92c337ec1a7bb2469db602c1a0e2359ca80ddb156b98328f9c44b2ce389a5661ebbe26d03
        3f2e233c600298a52f4a161dc68f4dadf2a9bffe245334a75b7dca639560e0f3325ee56c70bbb2b06eb3863bc725c034c99d
        d5b44562826e5a2093d03e50ab866515652b789fbf391c1a8fce86c0f1bd911f567cc624251a798cbd64d78c4a0fba338b2a
        6349634940dc4e5b601db1029e02c41e0fe05679
        """
}
