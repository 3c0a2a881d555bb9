import Testing

@testable import Workstation

@Suite struct DBusMessageTests {
    @Test func isAsTheSpecificationHasIt() {
        var message = DBusMessage.call("a.b", "/a", "a.b", "Hi", [.uint32(7)])
        message.serial = 1
        // Header: 16 bytes, and the fields, each padded to 8.
        let expected: [UInt8] =
            [0x6c, 1, 0, 1, 4, 0, 0, 0, 1, 0, 0, 0, 71, 0, 0, 0]
            + [1, 1, 0x6f, 0, 2, 0, 0, 0, 0x2f, 0x61, 0, 0, 0, 0, 0, 0]
            + [2, 1, 0x73, 0, 3, 0, 0, 0, 0x61, 0x2e, 0x62, 0, 0, 0, 0, 0]
            + [3, 1, 0x73, 0, 2, 0, 0, 0, 0x48, 0x69, 0, 0, 0, 0, 0, 0]
            + [6, 1, 0x73, 0, 3, 0, 0, 0, 0x61, 0x2e, 0x62, 0, 0, 0, 0, 0]
            + [8, 1, 0x67, 0, 1, 0x75, 0, 0]
            + [7, 0, 0, 0]
        #expect(message.bytes == expected)
    }

    @Test func readsWhatItWrites() throws {
        let values: [DBusMessage.Value] = [
            .int32(-1), .bool(true), .string("äx"), .byte(3), .path("/x"), .signature("a(iay)"),
            .array(
                "(iay)", [.structure([.int32(2), .bytes([198, 18, 0, 1])]), .structure([.int32(10), .bytes([])])]),
            .array("(sb)", [.structure([.string("cluster.local"), .bool(true)])]),
            .array("s", []), .variant(.array("u", [.uint32(1), .uint32(2)])),
        ]
        var message = DBusMessage.call("org.example", "/org/example", "org.example.A", "Set", values)
        message.serial = 9
        let bytes = message.bytes
        #expect(DBusMessage.length(of: bytes.prefix(16)) == bytes.count)
        let read = try #require(DBusMessage(bytes))
        #expect(read.body == values)
        #expect(read.serial == 9)
    }

    @Test func refusesWhatIsCutOffOrChanged() {
        var message = DBusMessage.call("org.example", "/", "a.b", "C", [.array("s", [.string("x"), .string("y")])])
        message.serial = 1
        let bytes = message.bytes
        for count in 0..<bytes.count { #expect(DBusMessage(Array(bytes.prefix(count))) == nil) }
        // Whatever one byte is changed to, it is read or refused.
        for index in bytes.indices {
            for value in [0, 1, 0x7f, 0x80, 0xff] as [UInt8] {
                var changed = bytes
                changed[index] = value
                _ = DBusMessage(changed)
            }
        }
    }
}
