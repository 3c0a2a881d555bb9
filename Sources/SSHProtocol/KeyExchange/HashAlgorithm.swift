import CLibcrypto

/// The hashes of key exchange.
package enum HashAlgorithm: Hashable, Sendable {
    case sha256, sha384, sha512

    package var length: Int {
        switch self {
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    package func hash(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: length) { digest, count in
            count = length
            switch self {
            case .sha256: _ = SHA256(bytes, bytes.count, digest.baseAddress)
            case .sha384: _ = SHA384(bytes, bytes.count, digest.baseAddress)
            case .sha512: _ = SHA512(bytes, bytes.count, digest.baseAddress)
            }
        }
    }
}
