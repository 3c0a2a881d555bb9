import CLinux
import Glibc

/// Which users and groups a user namespace has (user_namespaces(7)).
///
/// That of a rootless session has the user's own, and those of /etc/subuid and /etc/subgid, each with its number outside.
/// So inside of it there can be one with podman's mapping, where the user is root and the others follow.
package enum UserMapping {
    enum Kind: String, CaseIterable {
        case users = "uid", groups = "gid"

        var file: String { "/etc/sub\(rawValue)" }
        var program: String { "new\(rawValue)map" }
        func map(of process: Int32) -> String { "/proc/\(process)/\(rawValue)_map" }
    }

    /// What useradd gives, and from where on.
    private static let usualFirst: UInt32 = 100_000
    private static let usualCount: UInt32 = 65_536

    struct Range: Hashable {
        var first: UInt32
        var count: UInt32
    }

    /// Why a user who is not root has no namespace that podman runs in; nil if nothing is in the way. `holder` is of a
    /// session that is there.
    package static func problem(holder: ProcessIdentity?) -> String? {
        let needs = "podman in a rootless session needs"
        guard Kind.allCases.allSatisfy({ isInstalled($0.program) }) else {
            return "\(needs) newuidmap and newgidmap: sudo apt install uidmap"
        }
        let user = getuid()
        guard Kind.allCases.allSatisfy({ !ranges(in: TextFile.read($0.file) ?? "", name(of: user), user).isEmpty })
        else {
            let name = name(of: user) ?? "\(user)"
            let first = free(in: Kind.allCases.map { TextFile.read($0.file) ?? "" })
            let range = "\(first)-\(first + usualCount - 1)"
            return "\(needs) ranges of \(name)'s in /etc/subuid and /etc/subgid: "
                + "sudo usermod --add-subuids \(range) --add-subgids \(range) \(name)"
        }
        guard let holder else { return nil }
        let isMapped = [(Kind.users, user), (.groups, getgid())].allSatisfy { kind, own in
            nested(TextFile.read(kind.map(of: holder.id)) ?? "", own: own) != nil
        }
        return isMapped
            ? nil : "this session was begun when podman could not run in it: telepresence quit, and once more"
    }

    private static func isInstalled(_ program: String) -> Bool {
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        return path.split(separator: ":").contains { access("\($0)/\(program)", X_OK) == 0 }
    }

    private static func name(of user: UInt32) -> String? { getpwuid(user).map { String(cString: $0.pointee.pw_name) } }

    /// Has the namespace that a process of ours made get what its user may have; it stays without where that is nothing.
    static func set(of process: Int32) {
        let user = getuid()
        for (kind, own) in [(Kind.users, user), (.groups, getgid())] {
            let ranges = ranges(in: TextFile.read(kind.file) ?? "", name(of: user), user)
            guard !ranges.isEmpty else { return }
            let extents = ([Range(first: own, count: 1)] + ranges).flatMap { [$0.first, $0.first, $0.count] }
            guard (try? Spawn.run([kind.program, "\(process)"] + extents.map(String.init), descriptor: nil)) != nil
            else {
                return
            }
        }
    }

    static func ranges(in text: String, _ name: String?, _ user: UInt32) -> [Range] {
        entries(of: text).filter { $0.user == name || $0.user == "\(user)" }.map(\.range)
    }

    /// Behind everybody's: what two users share is not safe from either.
    static func free(in texts: [String]) -> UInt32 {
        let ends = texts.flatMap(entries).map { $0.range.first.addingReportingOverflow($0.range.count) }
        return ends.filter { !$0.overflow && $0.partialValue < .max - usualCount }.map(\.partialValue)
            .reduce(usualFirst, max)
    }

    /// Lines of subuid(5): a user by name or number, the first, how many.
    private static func entries(of text: String) -> [(user: String, range: Range)] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3, let first = UInt32(fields[1]), let count = UInt32(fields[2]), count > 0 else {
                return nil
            }
            return (fields[0], Range(first: first, count: count))
        }
    }

    /// What podman's namespace has inside of one with this mapping: the user as root, then the others. nil without others.
    static func nested(_ map: String, own: UInt32) -> String? {
        let extents = map.split(separator: "\n").compactMap { line -> Range? in
            let numbers = line.split(separator: " ").compactMap { UInt32($0) }
            return numbers.count == 3 ? Range(first: numbers[0], count: numbers[2]) : nil
        }
        let others = extents.filter { $0.first != own }
        guard extents.count > others.count, !others.isEmpty else { return nil }
        var lines = "0 \(own) 1\n"
        var next: UInt32 = 1
        for extent in others {
            lines += "\(next) \(extent.first) \(extent.count)\n"
            let (sum, isTooMuch) = next.addingReportingOverflow(extent.count)
            guard !isTooMuch else { return nil }
            next = sum
        }
        return lines
    }

    // MARK: Making namespaces

    /// Makes namespaces of this process, and runs `map` meanwhile in one that stays outside: whoever is in a user namespace
    /// can map there nobody but themselves. Whether it returned true. There must be one thread.
    static func unshare(_ kinds: UInt32, map: (_ process: Int32) -> Bool) throws(HelperError) -> Bool {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw HelperError("a pipe", errno: errno) }
        let own = getpid()
        let outside = try HelperError.check(clinux_fork(), "fork")
        var byte: UInt8 = 0
        if outside == 0 {
            close(ends[1])
            _exit(read(ends[0], &byte, 1) == 1 && map(own) ? 0 : 1)
        }
        close(ends[0])
        let made = clinux_unshare(Int32(kinds))
        if made >= 0 { _ = write(ends[1], &byte, 1) }
        close(ends[1])
        var status: Int32 = 0
        while waitpid(outside, &status, 0) < 0 && errno == EINTR {}
        guard made >= 0 else {
            throw HelperError("making a user namespace", errno: -made, hint: NetworkNamespace.hint(of: -made))
        }
        return status == 0
    }

    /// From here on this process is podman's root in a session's namespace, of which `user` and `group` are.
    static func becomeContainerRoot(of user: UInt32, _ group: UInt32) throws(HelperError) {
        let maps = [(Kind.users, user), (.groups, group)].map { kind, own in
            (kind, nested(TextFile.read(kind.map(of: getpid())) ?? "", own: own))
        }
        let isMapped = try unshare(UInt32(CLINUX_USER) | UInt32(CLINUX_MOUNTS)) { process in
            maps.allSatisfy { kind, map in
                map.map { TextFile.overwrite(kind.map(of: process), with: Array($0.utf8)) == 0 } ?? false
            }
        }
        guard isMapped else { throw HelperError("podman's users cannot be had in this session", kind: .failed) }
    }

    /// Tells podman that it is in its user namespace already: the one that it would join or make is out of the session.
    static func setContainerRoot(of user: UInt32, _ group: UInt32) {
        setenv("_CONTAINERS_USERNS_CONFIGURED", "done", 1)
        setenv("_CONTAINERS_ROOTLESS_UID", "\(user)", 1)
        setenv("_CONTAINERS_ROOTLESS_GID", "\(group)", 1)
    }
}
