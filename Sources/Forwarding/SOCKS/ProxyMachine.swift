package import NIOCore

/// What one port can speak: SOCKS, and HTTP where it is offered; the first byte tells which. Pure.
package struct ProxyMachine {
    package struct Offer: OptionSet, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let http = Offer(rawValue: 1)
        /// UDP ASSOCIATE of SOCKS5.
        package static let datagrams = Offer(rawValue: 2)
    }

    private enum Speaks {
        case nothing
        case socks(SOCKSMachine)
        case http(HTTPProxyMachine)
    }

    private let offer: Offer
    private var speaks = Speaks.nothing

    package init(offering offer: Offer = []) { self.offer = offer }

    /// Takes what it can from `input`; `nil`: more bytes are needed, or none are expected now.
    package mutating func receive(_ input: inout ByteBuffer) -> SOCKSMachine.Effect? {
        switch speaks {
        case .nothing:
            guard let first = input.getInteger(at: input.readerIndex, as: UInt8.self) else { return nil }
            // A method is made of letters (RFC 9110 §9.1); SOCKS begins with its version.
            if offer.contains(.http), first >= UInt8(ascii: "A") {
                speaks = .http(HTTPProxyMachine())
            } else {
                speaks = .socks(SOCKSMachine(offersAssociation: offer.contains(.datagrams)))
            }
            return receive(&input)
        case .socks(var machine):
            defer { speaks = .socks(machine) }
            return machine.receive(&input)
        case .http(var machine):
            defer { speaks = .http(machine) }
            return switch machine.receive(&input) {
            case .connect(let request)?: .connect(request)
            case .refuse(let bytes)?: .refuse(bytes)
            case nil: nil
            }
        }
    }

    /// What to send to the client, and what to the target, before the connection's bytes; `address` is where datagrams
    /// are to be sent.
    package mutating func succeed(boundTo address: SocketAddress? = nil) -> (reply: ByteBuffer, ahead: ByteBuffer) {
        switch speaks {
        case .nothing:
            return (ByteBuffer(), ByteBuffer())
        case .socks(var machine):
            defer { speaks = .socks(machine) }
            return (machine.succeed(boundTo: address), ByteBuffer())
        case .http(var machine):
            defer { speaks = .http(machine) }
            return machine.succeed()
        }
    }

    /// What to send before closing.
    package mutating func fail(_ failure: SOCKSFailure) -> ByteBuffer {
        switch speaks {
        case .nothing:
            return ByteBuffer()
        case .socks(var machine):
            defer { speaks = .socks(machine) }
            return machine.fail(failure)
        case .http(var machine):
            defer { speaks = .http(machine) }
            return machine.fail(failure)
        }
    }
}
