/// A resolv.conf with the parts that sessions put into it. The file says of itself what was there before, so that it can
/// be put back by whoever finds it, byte for byte, whatever else has happened to it:
///
///     # telepresence begin default 198.18.0.1 keeps default.svc.cluster.local svc.cluster.local
///     nameserver 198.18.0.1
///     search default.svc.cluster.local svc.cluster.local example.com
///     # telepresence end default
///     # telepresence link ../run/resolvconf/resolv.conf
///     nameserver 192.0.2.53
///     #telepresence# search example.com
///
/// A second session's block goes on top: its stub asks the first session's, which stands below it.
package struct ResolvConf: Hashable, Sendable {
    /// What one session added.
    package struct Block: Hashable, Sendable {
        package var name: String
        package var server: NetworkAddress
        package var searchDomains: [String]
        /// Whether the servers below stay in use.
        package var keepsServers: Bool

        package init(name: String, server: NetworkAddress, searchDomains: [String] = [], keepsServers: Bool = true) {
            self.name = name
            self.server = server
            self.searchDomains = searchDomains
            self.keepsServers = keepsServers
        }
    }

    /// The latest first.
    package var blocks: [Block] = []
    /// What the file was before.
    package var origin = Origin.file
    /// The bytes it had, or that the link led to.
    package var base: [UInt8]

    package enum Origin: Hashable, Sendable {
        case file
        case link(String)
        case nothing
    }

    package init(base: [UInt8], origin: Origin = .file) {
        self.base = base
        self.origin = origin
    }

    // MARK: What it says

    /// Who is asked, or who was before there was the block of that name.
    package func servers(below name: String? = nil) -> [NetworkAddress] {
        let index = blocks.firstIndex { $0.name == name }.map { $0 + 1 } ?? 0
        return blocks[index...].map(\.server) + baseServers
    }

    private var baseServers: [NetworkAddress] {
        words.filter { $0.first == "nameserver" && $0.count > 1 }
            // A link-local address has a zone, which is of use only to who reads the file himself.
            .compactMap { NetworkAddress($0[1]) }
    }

    /// Of `search` and `domain` the last counts (resolv.conf(5)).
    package var baseSearchDomains: [String] {
        words.last { $0.first == "search" || $0.first == "domain" }.map { Array($0.dropFirst()) } ?? []
    }

    package var baseOptions: [String] { words.filter { $0.first == "options" }.flatMap { $0.dropFirst() } }

    private var words: [[String]] { Self.lines(base).map(Self.words) }

    /// The file of a namespace: one server, ours, and the rest as it is outside.
    package static func namespaced(server: NetworkAddress, searchDomains: [String], outside: ResolvConf) -> [UInt8] {
        var text = "nameserver \(server)\n"
        let search = Self.unique(searchDomains + outside.effectiveSearchDomains)
        if !search.isEmpty { text += "search \(search.joined(separator: " "))\n" }
        let options = outside.baseOptions.filter { $0 != "rotate" }
        if !options.isEmpty { text += "options \(options.joined(separator: " "))\n" }
        return Array(text.utf8)
    }

    private var effectiveSearchDomains: [String] {
        Self.unique(blocks.flatMap(\.searchDomains) + baseSearchDomains)
    }

    // MARK: As a file

    private static let mark = "# telepresence "
    private static let hidden = Array("#telepresence# ".utf8)

    package init(parsing bytes: [UInt8]) {
        base = []
        var rest = Self.lines(bytes)[...]
        while let line = rest.first {
            rest = rest.dropFirst()
            let words = Self.words(line)
            if words.starts(with: ["#", "telepresence", "begin"]), let block = Block(Array(words.dropFirst(3))),
                let end = rest.firstIndex(where: { Self.words($0) == ["#", "telepresence", "end", block.name] })
            {
                if !blocks.contains(where: { $0.name == block.name }) { blocks.append(block) }
                rest = rest[(end + 1)...]
            } else if words.starts(with: ["#", "telepresence", "link"]), words.count > 3 {
                let target = String(decoding: line, as: UTF8.self).dropFirst("\(Self.mark)link ".count)
                origin = .link(target.last?.isNewline == true ? String(target.dropLast()) : String(target))
            } else if words == ["#", "telepresence", "nothing"] {
                origin = .nothing
            } else if line.starts(with: Self.hidden) {
                base += line.dropFirst(Self.hidden.count)
            } else {
                base += line
            }
        }
    }

    package var bytes: [UInt8] {
        guard let top = blocks.first else { return base }
        var text = ""
        var usesBase = true
        for (index, block) in blocks.enumerated() {
            text += "\(Self.mark)begin \(block)\n"
            if index == 0 { text += "# Put back when the session ends, or by `telepresence doctor --fix`.\n" }
            if usesBase { text += "nameserver \(block.server)\n" }
            usesBase = usesBase && block.keepsServers
            if index == 0 {
                let search = effectiveSearchDomains
                if !search.isEmpty { text += "search \(search.joined(separator: " "))\n" }
                let options = baseOptions.filter { $0 != "rotate" }
                // Ours is to be asked first every time.
                if baseOptions.contains("rotate"), !options.isEmpty {
                    text += "options \(options.joined(separator: " "))\n"
                }
            }
            text += "\(Self.mark)end \(block.name)\n"
        }
        switch origin {
        case .file: break
        case .link(let target): text += "\(Self.mark)link \(target)\n"
        case .nothing: text += "\(Self.mark)nothing\n"
        }
        let hidesSearch = !(top.searchDomains.isEmpty && effectiveSearchDomains == baseSearchDomains)
        let hidesOptions = baseOptions.contains("rotate")
        return Array(text.utf8)
            + Self.lines(base).flatMap { line -> [UInt8] in
                let isHidden =
                    switch Self.words(line).first {
                    case "search", "domain": hidesSearch
                    case "options": hidesOptions
                    case "nameserver": !usesBase
                    default: false
                    }
                return isHidden ? Self.hidden + line : Array(line)
            }
    }

    /// With their line breaks.
    private static func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 0x0a) {
            lines.append(rest[...end])
            rest = rest[(end + 1)...]
        }
        if !rest.isEmpty { lines.append(rest) }
        return lines
    }

    private static func words(_ line: ArraySlice<UInt8>) -> [String] {
        line.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0a || $0 == 0x0d }.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func unique(_ domains: [String]) -> [String] {
        var seen: Set<String> = []
        return domains.filter { seen.insert($0).inserted }
    }
}

extension ResolvConf.Block: CustomStringConvertible {
    package var description: String {
        ([name, "\(server)", keepsServers ? "keeps" : "hides"] + searchDomains).joined(separator: " ")
    }

    fileprivate init?(_ words: [String]) {
        guard words.count >= 3, let server = NetworkAddress(words[1]) else { return nil }
        self.init(
            name: words[0], server: server, searchDomains: Array(words.dropFirst(3)), keepsServers: words[2] != "hides")
    }
}
