import IPPacket
import Testing

@Suite struct ChecksumDeltaTests {
    private func checksum(_ words: [UInt16]) -> UInt16 {
        var checksum = InternetChecksum()
        for word in words { checksum.add(word) }
        return checksum.value
    }

    /// With the checksum among them, the words of a correct packet add up to zero.
    private func isValid(_ words: [UInt16], _ value: UInt16) -> Bool { checksum(words + [value]) == 0 }

    @Test func followsTheExampleOfTheRFC() {
        // RFC 1624 §4: HC = 0xdd2f, m = 0x5555, m' = 0x3285, HC' = 0.
        var delta = ChecksumDelta()
        delta.replace(0x5555, with: 0x3285)
        #expect(delta.applied(to: 0xdd2f) == 0)
    }

    @Test(arguments: 1...8) func isAsGoodAsSummingAnew(_ seed: UInt64) {
        var random = SeededRandom(seed)
        for _ in 0..<2000 {
            // Zeros and ones are where ones' complement goes wrong.
            let choices: [UInt16] = [0, 0xffff, 1, 0xfffe, .random(in: 0...0xffff, using: &random)]
            var words = (0..<10).map { _ in choices.randomElement(using: &random) ?? 0 }
            // The first stays, and is not zero: no header is all zeros.
            words[0] = 0x4500
            let before = checksum(words)
            var delta = ChecksumDelta()
            for _ in 0..<4 {
                let index = Int.random(in: 1..<10, using: &random)
                let new = choices.randomElement(using: &random) ?? 0
                delta.replace(words[index], with: new)
                words[index] = new
            }
            #expect(isValid(words, delta.applied(to: before)))
            #expect(isValid(words, ~delta.added(to: ~before)))
        }
    }
}
