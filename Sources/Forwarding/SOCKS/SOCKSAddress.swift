import IPPacket
import NIOCore

/// Addresses as SOCKS5 writes them (RFC 1928 §5), and as text.
enum SOCKSAddress {
    enum Reading: Equatable {
        case host(String)
        case incomplete
        case notAName
        case unknownType
    }

    /// What follows the byte that says the type.
    static func read(_ type: UInt8, from bytes: inout ByteBuffer) -> Reading {
        switch type {
        case 1: return bytes.readBytes(length: 4).map { .host(text($0)) } ?? .incomplete
        case 4: return bytes.readBytes(length: 16).map { .host(text($0)) } ?? .incomplete
        case 3:
            guard let length = bytes.readInteger(as: UInt8.self), let field = bytes.readBytes(length: Int(length))
            else {
                return .incomplete
            }
            return name(field).map { .host($0) } ?? .notAName
        default: return .unknownType
        }
    }

    /// Type, address and port; `false` for an address that is none of IP.
    static func write(_ address: SocketAddress, to bytes: inout ByteBuffer) -> Bool {
        guard let text = address.ipAddress, let port = address.port, let address = InternetAddress(text) else {
            return false
        }
        if address.isV4 {
            bytes.writeMultipleIntegers(1 as UInt8, address.v4)
        } else {
            bytes.writeMultipleIntegers(4 as UInt8, address.number)
        }
        bytes.writeInteger(UInt16(truncatingIfNeeded: port))
        return true
    }

    static func text(_ address: [UInt8]) -> String {
        var storage = ByteBuffer(bytes: address)
        guard
            let packed = try? SocketAddress(
                packedIPAddress: storage.readSlice(length: address.count) ?? ByteBuffer(), port: 0)
        else { return "" }
        return packed.ipAddress ?? ""
    }

    /// A name that may be passed on: not empty, printable, and not to be taken for an option.
    static func name(_ bytes: some Collection<UInt8>) -> String? {
        guard !bytes.isEmpty, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), bytes.first != UInt8(ascii: "-") else {
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
