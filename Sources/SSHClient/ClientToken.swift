import Glibc

/// A token in a file, such as a service account's: text on one line.
enum ClientToken {
    /// A service account's has 1 to 2 KiB.
    static let maximumSize = 8192

    static func read(_ path: String) throws(SSHClientError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else {
            throw SSHClientError(.badInput, "\(path): cannot read the token: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: maximumSize + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { buffer in
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
                return Glibc.read(descriptor, rest.baseAddress, rest.count)
            }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { break }
            count += got
        }
        while count > 0, bytes[count - 1] <= UInt8(ascii: " ") { count -= 1 }
        guard (1...maximumSize).contains(count) else {
            throw SSHClientError(.badInput, "\(path): not a token; expected one line of at most 8 KiB")
        }
        return Array(bytes[..<count])
    }
}
