extension NetworkRequest {
    /// More subnets than clusters have; each is a route.
    static let maximumSubnets = 256
    /// What systemd-resolved takes for one link (LINK_SEARCH_DOMAINS_MAX) bounds what is set; this, what is read.
    static let maximumDomains = 4096
    /// As much as one message may hold.
    package static let maximumLength = 192 << 10

    /// Throws unless everything asked for makes sense by itself, whatever the machine is like.
    package func validate() throws(HelperError) {
        guard Self.isName(name) else {
            throw HelperError(
                "'\(name)' is no name for a session: expected letters, digits, '-', '_' and '.', at most 63")
        }
        if let device {
            guard (1...15).contains(device.utf8.count), Self.isName(device), device.utf8.first != 0x2d else {
                throw HelperError(
                    "'\(device)' is no name for a device: expected at most 15 letters, digits, '-' and '_'")
            }
        }
        if let address4, !address4.isIPv4 || !Self.isUsable(NetworkPrefix(address4)) {
            throw HelperError("\(address4) cannot be the IPv4 address of the device")
        }
        if let address6, address6.isIPv4 || !Self.isUsable(NetworkPrefix(address6)) {
            throw HelperError("\(address6) cannot be the IPv6 address of the device")
        }
        for list in [subnets, excluded, allowedOverlaps] where list.count > Self.maximumSubnets {
            throw HelperError("\(list.count) subnets; expected at most \(Self.maximumSubnets)")
        }
        guard managerAddresses.count <= Self.maximumSubnets else {
            throw HelperError(
                "\(managerAddresses.count) addresses of the manager; expected at most \(Self.maximumSubnets)")
        }
        for subnet in subnets {
            guard subnet.length >= (subnet.isIPv4 ? 8 : 16) else {
                throw HelperError("\(subnet) is too much to route: the widest is /8, or /16 with IPv6")
            }
            guard Self.isUsable(subnet) else {
                throw HelperError("\(subnet) cannot be in a cluster: \(Self.unusableText)")
            }
        }
        guard routes.count <= Self.maximumSubnets else {
            throw HelperError(
                "\(routes.count) routes once the exclusions are cut out; expected at most \(Self.maximumSubnets)")
        }
        guard (sshConnection?.utf8.count ?? 0) <= 256 else { throw HelperError("SSH_CONNECTION is too long") }
        guard resolver.domains.count + resolver.searchDomains.count <= Self.maximumDomains else {
            throw HelperError("more than \(Self.maximumDomains) domains")
        }
        for domain in resolver.domains + resolver.searchDomains where !Self.isDomain(domain) {
            throw HelperError("'\(domain.prefix(80))' is no domain")
        }
    }

    static func isName(_ text: String) -> Bool {
        (1...63).contains(text.utf8.count) && text.utf8.first != 0x2e
            && text.utf8.allSatisfy { character in
                switch character {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
                default: false
                }
            }
    }

    /// A name as resolv.conf can have it: labels of 1 to 63 letters, digits, `-` and `_` (RFC 1035 §2.3.1, loosely).
    static func isDomain(_ text: String) -> Bool {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        return (1...253).contains(text.utf8.count)
            && labels.allSatisfy { (1...63).contains($0.utf8.count) && isName(String($0)) }
    }

    private static let unusableText = "that is this machine, its links, or a group of machines"

    /// Where only the machine itself, its own link, or many machines at once are (RFC 6890). 240.0.0.0/4 is nobody's, and what
    /// is taken elsewhere is shown there.
    private static let unusable: [NetworkPrefix] = [
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "::/127", "fe80::/10",
        "ff00::/8",
        "::ffff:0.0.0.0/96",
    ].compactMap { NetworkPrefix($0) }

    private static func isUsable(_ subnet: NetworkPrefix) -> Bool { !unusable.contains { $0.overlaps(subnet) } }
}
