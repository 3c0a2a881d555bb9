import CLinux
import Testing

@testable import Workstation

@Suite struct NetlinkMessageTests {
    @Test func attributesArePaddedAndFoundAgain() throws {
        var message = NetlinkMessage(type: RTM_NEWLINK)
        message.body = [UInt8](repeating: 0, count: 16)
        message.append(attribute: 3, "tel0")
        message.append(attribute: 4, UInt32(65_535))
        message.append(attribute: 5, [1])
        let read = try #require(NetlinkMessage.messages(in: message.bytes + message.bytes).last)
        #expect(read == message)
        let attributes = read.attributes(after: 16)
        #expect(attributes[3]?.text == "tel0")
        #expect(attributes[4]?.number(at: 0, as: UInt32.self) == 65_535)
        #expect(attributes[5].map { Array($0) } == [1])
    }

    @Test func whatIsNotWholeIsLeftOut() throws {
        let route = KernelRoute.message(
            RTM_NEWROUTE, try #require(NetworkPrefix("10.42.0.0/16")), interfaceIndex: 7, flags: 0)
        let bytes = route.bytes
        for count in 0..<bytes.count { #expect(NetlinkMessage.messages(in: bytes.prefix(count)).isEmpty) }
        for index in bytes.indices {
            for value in [0, 1, 4, 0x7f, 0xff] as [UInt8] {
                var changed = bytes
                changed[index] = value
                for message in NetlinkMessage.messages(in: changed) {
                    _ = KernelRoute(message)
                    _ = RouteMonitor.interface(of: message)
                }
            }
        }
    }

    @Test(arguments: ["10.42.0.0/16", "fd00:42::/64", "0.0.0.0/0", "::/0"])
    func routesAreReadAsTheyAreWritten(subnet: String) throws {
        let destination = try #require(NetworkPrefix(subnet))
        let message = KernelRoute.message(RTM_NEWROUTE, destination, interfaceIndex: 7, flags: 0)
        let route = try #require(KernelRoute(message))
        #expect(route.destination == destination)
        #expect(route.interfaceIndex == 7)
        #expect(route.protocol == KernelRoute.ownProtocol)
        #expect(RouteMonitor.interface(of: message) == 7)
    }

    @Test func ofSeveralNextHopsTheFirstStandsForAll() throws {
        var message = NetlinkMessage(type: RTM_NEWROUTE)
        message.body = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]
        var hop = NetlinkMessage(type: 0)
        hop.append(attribute: Int(RTA_GATEWAY.rawValue), [192, 0, 2, 1])
        var hops = NetlinkMessage(type: 0)
        hops.append(UInt16(8 + hop.body.count))
        hops.append(UInt16(0))
        hops.append(UInt32(5))
        hops.body += hop.body
        message.append(attribute: Int(RTA_MULTIPATH.rawValue), hops.body)
        let route = try #require(KernelRoute(message))
        #expect(route.gateway?.description == "192.0.2.1")
        #expect(route.interfaceIndex == 5)
        // A next hop shorter than its own header is no reason to fall over.
        message.body[message.body.count - hops.body.count] = 0
        _ = KernelRoute(message)
    }
}
