import CLinux
import Glibc

/// What sessions left behind on the machine: only when a daemon and all of its helper were killed at once, or the machine
/// runs on while `/run` was wiped.
package struct Leftovers: Hashable, Sendable {
    package struct Item: Hashable, Sendable, CustomStringConvertible {
        /// The session it is from.
        package var session: String
        /// What it is, for people.
        package var description: String
    }

    package var items: [Item]

    package var isEmpty: Bool { items.isEmpty }

    /// Looks, as any user, at journals, TUN devices and resolv.conf. What belongs to a session whose helper runs is none.
    package static func find(file: ResolvConfFile = ResolvConfFile()) -> Leftovers {
        let journals = NetworkJournal.all()
        let live = Set(journals.filter { !$0.isStale }.map(\.name))
        var items = journals.filter { !live.contains($0.name) }.map {
            Item(session: $0.name, description: "the journal \(NetworkJournal.directory)/\($0.name).json")
        }
        for block in file.read().blocks where !live.contains(block.name) {
            items.append(Item(session: block.name, description: "the nameserver \(block.server) in \(file.path)"))
        }
        let prefix = NetworkJournal.alias(of: "")
        if var netlink = try? NetlinkSocket(), let links = try? netlink.links() {
            for link in links where link.isTunnel {
                guard let alias = link.alias, alias.hasPrefix(prefix) else { continue }
                let name = String(alias.dropFirst(prefix.count))
                if !live.contains(name) { items.append(Item(session: name, description: "the device \(link.name)")) }
            }
        }
        return Leftovers(items: items)
    }

    /// Puts it all back, as root. Returns what could not be.
    @discardableResult
    package func remove(file: ResolvConfFile = ResolvConfFile()) -> [HelperError] {
        Set(items.map(\.session)).sorted().flatMap { name -> [HelperError] in
            // One that has started since is somebody's.
            if let journal = NetworkJournal.read(name), !journal.isStale { return [] }
            return NetworkJournal(name: name, processes: []).undo(file: file)
        }
    }
}
