import Testing

@testable import TrafficManager

@Suite struct HumanUnitsTests {
    @Test(
        arguments: [
            (-5, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (61, "1m1s"), (3599, "59m59s"), (3600, "1h"),
            (3660, "1h1m"),
            (86_399, "23h59m"), (86_400, "1d"), (1_000_000, "11d13h"), (Int64.max, "106751991167300d15h"),
        ] as [(Int64, String)])
    func durations(seconds: Int64, text: String) {
        #expect(HumanUnits.duration(seconds) == text)
    }

    @Test(
        arguments: [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (10_137, "9.9 KiB"), (10_240, "10 KiB"),
            (1_048_063, "1023 KiB"), (1_048_064, "1.0 MiB"), (1 << 20, "1.0 MiB"), (1 << 40, "1.0 TiB"),
            (UInt64.max, "16 EiB"),
        ] as [(UInt64, String)])
    func bytes(count: UInt64, text: String) {
        #expect(HumanUnits.bytes(count) == text)
    }
}
