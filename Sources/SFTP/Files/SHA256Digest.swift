import Crypto

/// Of a file, as it is read.
package struct SHA256Digest {
    private var hash = SHA256()

    package init() {}

    package mutating func update(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
    }

    /// 32 bytes.
    package func finish() -> [UInt8] { Array(hash.finalize()) }
}
