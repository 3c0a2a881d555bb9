import CLinux
import Glibc

/// Who listens on a port of this network namespace, as far as this process may see others.
enum ListeningProcess {
    /// The state TCP_LISTEN in proc(5)'s `net/tcp`.
    private static let listening = "0A"
    private static let maximumTable = 16 << 20

    static func find(port: UInt16) -> pid_t? {
        let inodes = sockets(on: port, "/proc/self/net/tcp") + sockets(on: port, "/proc/self/net/tcp6")
        guard !inodes.isEmpty else { return nil }
        let owner = clinux_socket_owner(inodes, inodes.count)
        return owner > 0 ? owner : nil
    }

    private static func sockets(on port: UInt16, _ table: String) -> [UInt] {
        guard let bytes = SmallFile.read(table, limit: maximumTable) else { return [] }
        let hexadecimal = String(port, radix: 16, uppercase: true)
        let ending = Array((":" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal).utf8)
        var found: [UInt] = []
        for line in bytes.split(separator: UInt8(ascii: "\n")).dropFirst() {
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 10)
            guard fields.count > 9, fields[1].suffix(ending.count).elementsEqual(ending),
                fields[3].elementsEqual(listening.utf8), let inode = UInt(String(decoding: fields[9], as: UTF8.self))
            else { continue }
            found.append(inode)
        }
        return found
    }
}
