import Glibc

/// What is said of a file (draft-ietf-secsh-filexfer-02 §5); what is `nil` is not said.
package struct SFTPAttributes: Hashable, Sendable {
    package var size: UInt64?
    package var owner: (user: UInt32, group: UInt32)?
    /// With the file's type.
    package var permissions: UInt32?
    /// Seconds since 1970.
    package var times: (accessed: UInt32, modified: UInt32)?

    private static let hasSize: UInt32 = 1
    private static let hasOwner: UInt32 = 2
    private static let hasPermissions: UInt32 = 4
    private static let hasTimes: UInt32 = 8
    private static let isExtended: UInt32 = 0x8000_0000

    package init() {}

    init(_ status: stat) {
        size = UInt64(max(status.st_size, 0))
        owner = (status.st_uid, status.st_gid)
        permissions = status.st_mode
        times = (UInt32(truncatingIfNeeded: status.st_atim.tv_sec), UInt32(truncatingIfNeeded: status.st_mtim.tv_sec))
    }

    package init(_ reader: inout SFTPReader) throws(SFTPReader.Truncated) {
        let flags: UInt32 = try reader.integer()
        if flags & Self.hasSize != 0 { size = try reader.integer() }
        if flags & Self.hasOwner != 0 { owner = (try reader.integer(), try reader.integer()) }
        if flags & Self.hasPermissions != 0 { permissions = try reader.integer() }
        if flags & Self.hasTimes != 0 { times = (try reader.integer(), try reader.integer()) }
        guard flags & Self.isExtended != 0 else { return }
        let count: UInt32 = try reader.integer()
        for _ in 0..<count {
            _ = try reader.string()
            _ = try reader.string()
        }
    }

    package func write(to output: inout SFTPWriter) {
        var flags: UInt32 = 0
        if size != nil { flags |= Self.hasSize }
        if owner != nil { flags |= Self.hasOwner }
        if permissions != nil { flags |= Self.hasPermissions }
        if times != nil { flags |= Self.hasTimes }
        output.write(flags)
        if let size { output.write(size) }
        if let owner {
            output.write(owner.user)
            output.write(owner.group)
        }
        if let permissions { output.write(permissions) }
        if let times {
            output.write(times.accessed)
            output.write(times.modified)
        }
    }

    package static func == (one: SFTPAttributes, other: SFTPAttributes) -> Bool {
        one.size == other.size && one.permissions == other.permissions && one.owner?.user == other.owner?.user
            && one.owner?.group == other.owner?.group && one.times?.accessed == other.times?.accessed
            && one.times?.modified == other.times?.modified
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(size)
        hasher.combine(permissions)
    }
}
