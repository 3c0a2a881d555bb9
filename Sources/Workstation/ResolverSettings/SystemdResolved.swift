import Glibc

/// systemd-resolved, asked and told over D-Bus (org.freedesktop.resolve1(5)). What is set for a link goes with the link.
struct SystemdResolved: ~Copyable {
    private var bus: DBusConnection

    private static let name = "org.freedesktop.resolve1"
    private static let path = "/org/freedesktop/resolve1"
    private static let manager = "org.freedesktop.resolve1.Manager"
    /// LINK_SEARCH_DOMAINS_MAX of systemd.
    static let maximumDomains = 256

    /// nil if it does not run: that is asked of the bus, as files may be there all the same.
    init?(bus path: String = DBusConnection.systemBus) {
        guard var bus = try? DBusConnection.open(path),
            let answer = try? bus.call(
                DBusConnection.bus, "/org/freedesktop/DBus", DBusConnection.bus, "NameHasOwner", [.string(Self.name)]),
            answer == [.bool(true)]
        else { return nil }
        self.bus = bus
    }

    /// How it sees /etc/resolv.conf: `stub`, `static`, `uplink`, `foreign`, `missing`; nil before systemd 247.
    mutating func resolvConfMode() -> String? {
        if case .string(let mode)? = property("ResolvConfMode") { mode } else { nil }
    }

    /// The servers it asks, of all links.
    mutating func servers() -> [NetworkAddress] {
        guard case .array(_, let servers)? = property("DNS") else { return [] }
        // Link, family, address.
        return servers.compactMap { server in
            guard case .structure(let values) = server, case .array(_, let bytes)? = values.last else { return nil }
            return NetworkAddress(bytes: bytes.compactMap { if case .byte(let byte) = $0 { byte } else { nil } })
        }
    }

    private mutating func property(_ name: String) -> DBusMessage.Value? {
        let answer = try? bus.call(
            Self.name, Self.path, "org.freedesktop.DBus.Properties", "Get", [.string(Self.manager), .string(name)])
        if case .variant(let value)? = answer?.first { return value }
        return nil
    }

    /// Leads names below `domains` to a server that is reached over the link, and nothing else there.
    mutating func set(link index: Int32, server: NetworkAddress, domains: [String], searchDomains: [String])
        throws(HelperError)
    {
        let index = DBusMessage.Value.int32(index)
        try set("SetLinkDNS", [index, .array("(iay)", [.structure([.int32(server.family), .bytes(server.bytes)])])])
        let names =
            searchDomains.map { DBusMessage.Value.structure([.string($0), .bool(false)]) }
            + domains.filter { !searchDomains.contains($0) }.map { .structure([.string($0), .bool(true)]) }
        try set("SetLinkDomains", [index, .array("(sb)", Array(names.prefix(Self.maximumDomains)))])
        try set("SetLinkDefaultRoute", [index, .bool(false)])
        // Names of a cluster are not signed, and nobody else on the link could answer. Older ones lack some of these.
        for method in ["SetLinkLLMNR", "SetLinkMulticastDNS", "SetLinkDNSSEC", "SetLinkDNSOverTLS"] {
            try? set(method, [index, .string("no")])
        }
        // What it answered before, "no such name" above all, may be wrong now.
        try? set("FlushCaches", [])
    }

    private mutating func set(_ method: String, _ values: [DBusMessage.Value]) throws(HelperError) {
        do {
            try bus.call(Self.name, Self.path, Self.manager, method, values)
        } catch {
            throw HelperError("systemd-resolved: \(error.text)", kind: error.kind)
        }
    }
}
