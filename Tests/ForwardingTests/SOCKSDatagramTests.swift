import Forwarding
import NIOCore
import Testing

@Suite struct SOCKSDatagramTests {
    @Test(arguments: [
        ([0, 0, 0, 1, 10, 0, 0, 1, 0, 53], "10.0.0.1"), ([0, 0, 0, 3, 2, 104, 105, 0, 53], "hi"),
        ([0, 0, 0, 4] + [UInt8](repeating: 0, count: 15) + [1, 0, 53], "::1"),
    ])
    func isReadWithItsHeader(_ header: [UInt8], _ host: String) throws {
        let datagram = try #require(SOCKSDatagram(ByteBuffer(bytes: header + [1, 2, 3])))
        #expect(datagram.host == host)
        #expect(datagram.port == 53)
        #expect(datagram.header == ByteBuffer(bytes: header))
        #expect(datagram.bytes == ByteBuffer(bytes: [1, 2, 3]))
        for length in 0..<header.count { #expect(SOCKSDatagram(ByteBuffer(bytes: header.prefix(length))) == nil) }
    }

    @Test(arguments: [
        [0, 0, 1, 1, 10, 0, 0, 1, 0, 53], [1, 0, 0, 1, 10, 0, 0, 1, 0, 53], [0, 0, 0, 2, 10, 0, 0, 1, 0, 53],
        [0, 0, 0, 1, 10, 0, 0, 1, 0, 0], [0, 0, 0, 3, 0, 0, 53], [0, 0, 0, 3, 2, 45, 105, 0, 53],
    ])
    func fragmentsAndNonsenseAreDropped(_ bytes: [UInt8]) {
        #expect(SOCKSDatagram(ByteBuffer(bytes: bytes)) == nil)
    }
}
