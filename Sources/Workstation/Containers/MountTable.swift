import Glibc

/// What is mounted, as the kernel lists it (proc_pid_mountinfo(5)): a look that no file system can delay.
enum MountTable {
    /// As a process sees it.
    static func contains(_ directory: String, of process: String = "self") -> Bool {
        guard let file = fopen("/proc/\(process)/mountinfo", "re") else { return false }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        while getline(&line, &room, file) > 0, let line {
            let fields = String(cString: line).split(separator: " ", maxSplits: 5)
            if fields.count > 4, unescaped(fields[4]) == directory { return true }
        }
        return false
    }

    /// Spaces, tabs, line breaks and backslashes are written in octal.
    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
