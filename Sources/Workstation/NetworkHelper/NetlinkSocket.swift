import CLinux
import Glibc

/// Asks the kernel for its links, addresses and routes, and changes them. One question at a time; it blocks.
struct NetlinkSocket: ~Copyable {
    private let descriptor: Int32
    private var sequence: UInt32 = 0

    struct Link: Hashable, Sendable {
        var index: Int32
        var name: String
        var alias: String?
        var isTunnel: Bool
    }

    init() throws(HelperError) {
        descriptor = try HelperError.check(clinux_netlink(0), "netlink")
    }

    deinit { close(descriptor) }

    /// Every route of every table, with the names of their devices.
    mutating func routes() throws(HelperError) -> [KernelRoute] {
        let names = Dictionary(try links().map { ($0.index, $0.name) }) { first, _ in first }
        var routes: [KernelRoute] = []
        for family in [AF_INET, AF_INET6] {
            var question = NetlinkMessage(type: RTM_GETROUTE, flags: NLM_F_DUMP)
            question.append(UInt8(family))
            question.body += [UInt8](repeating: 0, count: 11)
            // A kernel without IPv6 has none of its routes.
            guard let answers = try? ask(question, "the routes") else {
                guard family == AF_INET6 else {
                    throw HelperError("the kernel does not tell its routes", kind: .failed)
                }
                continue
            }
            routes += answers.compactMap { KernelRoute($0) }.filter { !$0.isIPv6Noise }.map { route in
                var route = route
                route.device = names[route.interfaceIndex]
                return route
            }
        }
        return routes
    }

    mutating func links() throws(HelperError) -> [Link] {
        var question = NetlinkMessage(type: RTM_GETLINK, flags: NLM_F_DUMP)
        question.body = [UInt8](repeating: 0, count: 16)
        return try ask(question, "the links").compactMap { message -> Link? in
            guard message.type == UInt16(RTM_NEWLINK), message.body.count >= 16 else { return nil }
            let attributes = message.attributes(after: 16)
            guard let name = attributes[Int(IFLA_IFNAME)]?.text else { return nil }
            var information = NetlinkMessage(type: 0)
            information.body = Array(attributes[Int(IFLA_LINKINFO)] ?? [])
            return Link(
                index: message.body[...].number(at: 4, as: Int32.self), name: name,
                alias: attributes[Int(IFLA_IFALIAS)]?.text,
                isTunnel: information.attributes(after: 0)[Int(IFLA_INFO_KIND)]?.text == "tun")
        }
    }

    /// Sets up a TUN device: how long packets may be, what it is for, no addresses that it makes up itself.
    mutating func configure(link index: Int32, maximumTransferUnit: UInt32, alias: String) throws(HelperError) {
        var message = Self.link(RTM_NEWLINK, index)
        message.append(attribute: Int(IFLA_MTU), maximumTransferUnit)
        message.append(attribute: Int(IFLA_IFALIAS), alias)
        try change(message, "setting the MTU to \(maximumTransferUnit)")
        var mode = NetlinkMessage(type: 0)
        mode.append(attribute: Int(IFLA_INET6_ADDR_GEN_MODE), [UInt8(IN6_ADDR_GEN_MODE_NONE.rawValue)])
        var family = NetlinkMessage(type: 0)
        family.append(attribute: Int(AF_INET6), mode.body)
        message = Self.link(RTM_NEWLINK, index)
        message.append(attribute: Int(IFLA_AF_SPEC), family.body)
        // Without IPv6 there is nothing to turn off.
        try? change(message, "turning link-local addresses off")
    }

    mutating func setUp(link index: Int32) throws(HelperError) {
        try change(Self.link(RTM_NEWLINK, index, flags: UInt32(IFF_UP)), "turning the link on")
    }

    mutating func delete(link index: Int32) throws(HelperError) {
        try change(Self.link(RTM_DELLINK, index), "deleting the link")
    }

    mutating func add(_ address: NetworkAddress, length: Int, to index: Int32) throws(HelperError) {
        var message = NetlinkMessage(type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL)
        message.append(UInt8(address.family))
        message.append(UInt8(length))
        message.append(UInt8(IFA_F_NODAD))
        message.append(UInt8(RT_SCOPE_UNIVERSE.rawValue))
        message.append(UInt32(index))
        message.append(attribute: Int(IFA_LOCAL), address.bytes)
        message.append(attribute: Int(IFA_ADDRESS), address.bytes)
        try change(message, "the address \(address)/\(length)")
    }

    mutating func add(route: NetworkPrefix, to index: Int32) throws(HelperError) {
        let flags = NLM_F_CREATE | NLM_F_EXCL
        try change(KernelRoute.message(RTM_NEWROUTE, route, interfaceIndex: index, flags: flags), "the route \(route)")
    }

    mutating func remove(route: NetworkPrefix, from index: Int32) throws(HelperError) {
        try change(KernelRoute.message(RTM_DELROUTE, route, interfaceIndex: index, flags: 0), "the route \(route)")
    }

    /// `struct ifinfomsg`.
    private static func link(_ type: Int, _ index: Int32, flags: UInt32 = 0) -> NetlinkMessage {
        var message = NetlinkMessage(type: type)
        message.append(UInt32(AF_UNSPEC))
        message.append(index)
        message.append(flags)
        message.append(flags)
        return message
    }

    private mutating func change(_ message: NetlinkMessage, _ what: String) throws(HelperError) {
        var message = message
        message.flags |= UInt16(NLM_F_ACK)
        _ = try ask(message, what)
    }

    /// Sends a request and collects what is answered, up to the acknowledgement or the end of the list.
    private mutating func ask(_ message: NetlinkMessage, _ what: String) throws(HelperError) -> [NetlinkMessage] {
        sequence &+= 1
        var message = message
        message.sequence = sequence
        message.flags |= UInt16(NLM_F_REQUEST)
        let bytes = message.bytes
        guard send(descriptor, bytes, bytes.count, 0) == bytes.count else { throw HelperError(what, errno: errno) }
        var answers: [NetlinkMessage] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw HelperError(what, errno: count < 0 ? errno : EIO) }
            for answer in NetlinkMessage.messages(in: buffer.prefix(count)) where answer.sequence == sequence {
                switch Int32(answer.type) {
                case NLMSG_ERROR:
                    // -errno, or 0 for an acknowledgement.
                    let code = -answer.body[...].number(at: 0, as: Int32.self)
                    guard code == 0 else { throw HelperError(what, errno: code) }
                    return answers
                case NLMSG_DONE:
                    return answers
                default:
                    answers.append(answer)
                }
            }
        }
    }
}

extension KernelRoute {
    /// What every link has for itself: link-local and multicast addresses.
    fileprivate var isIPv6Noise: Bool {
        !destination.isIPv4 && !isDefault
            && (destination.address.bytes[0] == 0xff || destination.address.bytes.starts(with: [0xfe, 0x80]))
    }
}
