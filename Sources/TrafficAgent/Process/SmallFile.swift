import Glibc

/// Files of the kernel's, which have no length.
enum SmallFile {
    /// `nil`: it cannot be read.
    static func read(_ path: String, limit: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        let step = 64 << 10
        while bytes.count < limit {
            let before = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: step))
            let count = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(descriptor, buffer.baseAddress?.advanced(by: before), step)
            }
            guard count > 0 else {
                bytes.removeLast(step)
                return count == 0 ? bytes : nil
            }
            bytes.removeLast(step - count)
        }
        return bytes
    }
}
