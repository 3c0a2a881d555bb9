import Glibc

/// A process, told from another one that has its number later.
package struct ProcessIdentity: Hashable, Codable, Sendable, LosslessStringConvertible {
    package var id: Int32
    /// In clock ticks since the machine started (proc(5), field 22).
    package var started: UInt64

    /// Of a process that runs; nil if it does not, or has ended and nobody has asked for its status yet.
    package init?(of id: Int32) {
        guard let line = TextFile.read("/proc/\(id)/stat"), let started = Self.started(in: line) else { return nil }
        self.id = id
        self.started = started
    }

    /// Reads `ID:STARTED`.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let id = Int32(parts[0]), id > 0, let started = UInt64(parts[1]) else { return nil }
        self.id = id
        self.started = started
    }

    package var description: String { "\(id):\(started)" }

    package var isRunning: Bool { ProcessIdentity(of: id) == self }

    package static var current: ProcessIdentity? { ProcessIdentity(of: getpid()) }

    /// Field 22 of a line of /proc/PID/stat. The name, in parentheses, may hold spaces and parentheses.
    static func started(in line: String) -> UInt64? {
        guard let end = line.lastIndex(of: ")") else { return nil }
        let fields = line[line.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }
}
