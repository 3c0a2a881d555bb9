import Glibc

/// Who listens on a port of this network namespace, as far as this process may see others.
enum ListeningProcess {
    /// The state TCP_LISTEN in proc(5)'s `net/tcp`.
    private static let listening = "0A"
    private static let maximumTable = 16 << 20

    static func find(port: UInt16) -> pid_t? {
        let inodes = sockets(on: port, "/proc/self/net/tcp").union(sockets(on: port, "/proc/self/net/tcp6"))
        guard !inodes.isEmpty else { return nil }
        // A server and those it has forked share their sockets: the first is whom the container was started with.
        return entries("/proc").compactMap { pid_t($0) }.filter { $0 != getpid() }.sorted()
            .first { holds($0, inodes) }
    }

    private static func sockets(on port: UInt16, _ table: String) -> Set<String> {
        guard let bytes = SmallFile.read(table, limit: maximumTable) else { return [] }
        let hexadecimal = String(port, radix: 16, uppercase: true)
        let ending = ":" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
        var found: Set<String> = []
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ")
            guard fields.count > 9, fields[3] == listening, fields[1].hasSuffix(ending) else { continue }
            found.insert("socket:[\(fields[9])]")
        }
        return found
    }

    private static func holds(_ process: pid_t, _ sockets: Set<String>) -> Bool {
        let directory = "/proc/\(process)/fd"
        return entries(directory).contains { name in
            var target = [CChar](repeating: 0, count: 64)
            let length = readlink("\(directory)/\(name)", &target, target.count)
            guard length > 0 else { return false }
            return sockets.contains(String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
    }

    private static func entries(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names
    }
}
