import CLinux
import ControlAPI
import Glibc

/// What a network helper changes on the machine, written down before it does: whoever finds it can undo it. It says only
/// where to look, as devices and resolv.conf say themselves what of them is ours.
package struct NetworkJournal: Codable, Hashable, Sendable {
    /// Of the session.
    package var name: String
    /// The helper's processes. While one of them runs, the changes are wanted, or are being undone.
    package var processes: [ProcessIdentity]
    /// Whether /etc/resolv.conf may have a part of ours.
    package var changesResolvConf = false

    /// It is gone after the machine starts anew, as are the things written down there.
    package static let directory = "/run/telepresence"

    package var isStale: Bool { !processes.contains(where: \.isRunning) }

    /// What the TUN device of a session is labelled with.
    static func alias(of name: String) -> String { "telepresence \(name)" }

    private var path: String { Self.path(of: name) }

    private static func path(of name: String) -> String { "\(directory)/\(name).json" }

    // MARK: On disk

    /// Writes the first entry; throws `busy` if there is a session of that name.
    func create() throws(HelperError) {
        let code = try StateLock.holding(Self.directory) { TextFile.create(path, with: encoded) }
        if code == EEXIST { throw HelperError("the session '\(name)' has a network already", kind: .busy) }
        guard code == 0 else { throw HelperError("writing \(path)", errno: code) }
    }

    private var encoded: [UInt8] { Array(((try? JSON.encode(self)) ?? "").utf8) }

    /// nil if there is none. One that cannot be read is one of nobody's.
    package static func read(_ name: String) -> NetworkJournal? {
        guard let text = TextFile.read(path(of: name)) else { return nil }
        guard var journal = try? JSON.decode(NetworkJournal.self, from: text) else {
            return NetworkJournal(name: name, processes: [], changesResolvConf: true)
        }
        journal.name = name
        return journal
    }

    /// Every one there is.
    package static func all() -> [NetworkJournal] {
        DirectoryListing.names(in: directory).filter { $0.hasSuffix(".json") }.sorted().compactMap { file in
            let name = String(file.dropLast(".json".count))
            return NetworkRequest.isName(name) ? read(name) : nil
        }
    }

    // MARK: Undoing

    /// Puts everything back, and forgets it. Returns what could not be done; the journal stays then.
    @discardableResult
    package func undo(file: ResolvConfFile = ResolvConfFile()) -> [HelperError] {
        var failures: [HelperError] = []
        // First, as without the device the server named there is one that never answers.
        do throws(HelperError) { try file.remove(name) } catch { failures.append(error) }
        do throws(HelperError) {
            var netlink = try NetlinkSocket()
            // The daemon may hold it yet; its routes and what systemd-resolved knows of it go along.
            for link in try netlink.links() where link.isTunnel && link.alias == Self.alias(of: name) {
                try netlink.delete(link: link.index)
            }
        } catch {
            failures.append(error)
        }
        guard failures.isEmpty else { return failures }
        do throws(HelperError) {
            let code = try StateLock.holding(Self.directory) { unlink(path) == 0 ? 0 : errno }
            guard code == 0 || code == ENOENT else { throw HelperError("deleting \(path)", errno: code) }
        } catch {
            failures.append(error)
        }
        return failures
    }
}
