import CLinux
import Glibc

/// A route as the kernel has it.
package struct KernelRoute: Hashable, Codable, Sendable, CustomStringConvertible {
    package var destination: NetworkPrefix
    package var gateway: NetworkAddress?
    package var device: String?
    package var interfaceIndex: Int32 = 0
    package var metric: UInt32 = 0
    package var table: UInt32 = UInt32(RT_TABLE_MAIN.rawValue)
    /// Who made it: RTPROT_… or a number of one's own.
    package var `protocol`: UInt8 = 0
    /// Not one that drops or refuses.
    package var isUnicast = true

    package init(
        _ destination: NetworkPrefix, via gateway: NetworkAddress? = nil, device: String?, metric: UInt32 = 0
    ) {
        self.destination = destination
        self.gateway = gateway
        self.device = device
        self.metric = metric
    }

    /// What marks our routes: nobody else's number in iproute2's or the usual routing daemons' lists.
    package static let ownProtocol: UInt8 = 84

    package var isDefault: Bool { destination.length == 0 }

    /// The machine's own addresses, which no other route can cover up.
    var isLocal: Bool { table == UInt32(RT_TABLE_LOCAL.rawValue) }

    /// In the words of `ip route`.
    package var description: String {
        var text = isDefault ? "default" : "\(destination)"
        if !isUnicast { text = "unreachable \(text)" }
        if let gateway { text += " via \(gateway)" }
        if let device { text += " dev \(device)" }
        if table != UInt32(RT_TABLE_MAIN.rawValue) { text += isLocal ? " table local" : " table \(table)" }
        return text
    }
}

extension KernelRoute {
    private static let fixedLength = 12

    /// Reads an RTM_NEWROUTE (`struct rtmsg`); nil for what says nothing of where packets of programs go.
    init?(_ message: NetlinkMessage) {
        guard message.type == UInt16(RTM_NEWROUTE), message.body.count >= Self.fixedLength else { return nil }
        let fixed = message.body[...]
        let isIPv4 = fixed[0] == UInt8(AF_INET)
        guard isIPv4 || fixed[0] == UInt8(AF_INET6) else { return nil }
        let type = Int(fixed[7])
        let kinds = [RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT].map { Int($0) }
        // Of the table of every address there is: broadcast and multicast, which programs do not connect to; and what
        // the kernel remembers of single destinations.
        guard kinds.contains(type), UInt32(fixed.number(at: 8, as: UInt32.self)) & UInt32(RTM_F_CLONED) == 0 else {
            return nil
        }
        let attributes = message.attributes(after: Self.fixedLength)
        let zero = [UInt8](repeating: 0, count: isIPv4 ? 4 : 16)
        guard let address = NetworkAddress(bytes: attributes[Int(RTA_DST.rawValue)] ?? zero[...]) else { return nil }
        destination = NetworkPrefix(address, length: Int(fixed[1]))
        self.protocol = fixed[5]
        isUnicast = type == Int(RTN_UNICAST) || type == Int(RTN_LOCAL)
        table = attributes[Int(RTA_TABLE.rawValue)]?.number(at: 0, as: UInt32.self) ?? UInt32(fixed[4])
        metric = attributes[Int(RTA_PRIORITY.rawValue)]?.number(at: 0, as: UInt32.self) ?? 0
        gateway = attributes[Int(RTA_GATEWAY.rawValue)].flatMap { NetworkAddress(bytes: $0) }
        interfaceIndex = attributes[Int(RTA_OIF.rawValue)]?.number(at: 0, as: Int32.self) ?? 0
        // Of several next hops the first stands for all (`struct rtnexthop`).
        if let hops = attributes[Int(RTA_MULTIPATH.rawValue)], hops.count >= 8 {
            interfaceIndex = hops.number(at: 4, as: Int32.self)
            var hop = NetlinkMessage(type: 0)
            hop.body = Array(hops.prefix(Int(hops.number(at: 0, as: UInt16.self))).dropFirst(8))
            gateway = hop.attributes(after: 0)[Int(RTA_GATEWAY.rawValue)].flatMap { NetworkAddress(bytes: $0) }
        }
        device = nil
    }

    /// An RTM_NEWROUTE or RTM_DELROUTE of a route of ours into a device.
    static func message(_ type: Int, _ destination: NetworkPrefix, interfaceIndex: Int32, flags: Int32)
        -> NetlinkMessage
    {
        var message = NetlinkMessage(type: type, flags: flags)
        message.append(UInt8(destination.address.family))
        message.append(UInt8(destination.length))
        message.append(UInt8(0))
        message.append(UInt8(0))
        message.append(UInt8(RT_TABLE_MAIN.rawValue))
        message.append(ownProtocol)
        // The link scope is IPv4's alone.
        message.append(UInt8(destination.isIPv4 ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue))
        message.append(UInt8(RTN_UNICAST))
        message.append(UInt32(0))
        message.append(attribute: Int(RTA_DST.rawValue), destination.address.bytes)
        message.append(attribute: Int(RTA_OIF.rawValue), UInt32(interfaceIndex))
        return message
    }
}
