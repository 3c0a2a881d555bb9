package import NIOCore

/// The server's side of SOCKS 4, 4a and 5 (RFC 1928) without authentication, up to the reply: CONNECT and, where it is
/// offered, UDP ASSOCIATE.
///
/// States: version → (SOCKS5: greeting → request | SOCKS4: request) → connecting → finished. Pure: bytes in, effects out;
/// after `connect` or `associate` the owner calls `succeed` or `fail` once, and what is still in the input belongs to the connection.
package struct SOCKSMachine {
    package enum Effect: Equatable {
        case send(ByteBuffer)
        case connect(SOCKSRequest)
        /// Datagrams are to be relayed; the client will send them from the address of the request, if that says one.
        case associate(SOCKSRequest)
        /// The client asked for what is not offered: send this, then close.
        case refuse(ByteBuffer)
        /// Not SOCKS: close.
        case close
    }

    private enum State { case version, greeting, request5, request4, connecting5, connecting4, finished }

    /// RFC 1928 lets names have 255 bytes; the user id of SOCKS4 has no limit of its own.
    private static let maximumFieldLength = 255

    private let offersAssociation: Bool
    private var state = State.version

    package init(offersAssociation: Bool = false) { self.offersAssociation = offersAssociation }

    /// Takes what it can from `input`; `nil`: more bytes are needed, or none are expected now.
    package mutating func receive(_ input: inout ByteBuffer) -> Effect? {
        while true {
            switch state {
            case .version:
                guard let version = input.getInteger(at: input.readerIndex, as: UInt8.self) else { return nil }
                switch version {
                case 5: state = .greeting
                case 4: state = .request4
                default:
                    state = .finished
                    return .close
                }
            case .greeting:
                return greeting(&input)
            case .request5:
                return request5(&input)
            case .request4:
                return request4(&input)
            case .connecting5, .connecting4, .finished:
                return nil
            }
        }
    }

    /// What to send before the connection's bytes; `address` is where datagrams are to be sent.
    package mutating func succeed(boundTo address: SocketAddress? = nil) -> ByteBuffer {
        defer { state = .finished }
        switch state {
        case .connecting5: return Self.reply5(0, address)
        case .connecting4: return Self.reply4(granted: true)
        default: return ByteBuffer()
        }
    }

    /// What to send before closing.
    package mutating func fail(_ failure: SOCKSFailure) -> ByteBuffer {
        defer { state = .finished }
        switch state {
        case .connecting5: return Self.reply5(failure.rawValue)
        case .connecting4: return Self.reply4(granted: false)
        default: return ByteBuffer()
        }
    }

    // MARK: SOCKS5

    private mutating func greeting(_ input: inout ByteBuffer) -> Effect? {
        var bytes = input
        guard bytes.readInteger(as: UInt8.self) != nil, let count = bytes.readInteger(as: UInt8.self),
            let methods = bytes.readSlice(length: Int(count))
        else { return nil }
        input = bytes
        guard methods.readableBytesView.contains(0) else {
            state = .finished
            return .refuse(ByteBuffer(bytes: [5, 0xff]))
        }
        state = .request5
        return .send(ByteBuffer(bytes: [5, 0]))
    }

    private mutating func request5(_ input: inout ByteBuffer) -> Effect? {
        var bytes = input
        guard let version = bytes.readInteger(as: UInt8.self) else { return nil }
        guard version == 5 else {
            state = .finished
            return .close
        }
        guard let command = bytes.readInteger(as: UInt8.self), bytes.readInteger(as: UInt8.self) != nil,
            let type = bytes.readInteger(as: UInt8.self)
        else { return nil }
        let host: String
        switch SOCKSAddress.read(type, from: &bytes) {
        case .host(let text): host = text
        case .incomplete: return nil
        case .notAName: return refuse5(.generalFailure)
        case .unknownType: return refuse5(.addressTypeNotSupported)
        }
        guard let port = bytes.readInteger(as: UInt16.self) else { return nil }
        input = bytes
        let request = SOCKSRequest(host: host, port: port)
        switch command {
        case 1:
            state = .connecting5
            return .connect(request)
        case 3 where offersAssociation:
            state = .connecting5
            return .associate(request)
        default:
            return refuse5(.commandNotSupported)
        }
    }

    private mutating func refuse5(_ failure: SOCKSFailure) -> Effect {
        state = .finished
        return .refuse(Self.reply5(failure.rawValue))
    }

    /// The address of a connection is not known here; ssh answers 0.0.0.0:0 too.
    private static func reply5(_ code: UInt8, _ address: SocketAddress? = nil) -> ByteBuffer {
        var reply = ByteBuffer(bytes: [5, code, 0])
        if let address, SOCKSAddress.write(address, to: &reply) { return reply }
        reply.writeBytes([1, 0, 0, 0, 0, 0, 0])
        return reply
    }

    // MARK: SOCKS4

    private mutating func request4(_ input: inout ByteBuffer) -> Effect? {
        var bytes = input
        guard bytes.readInteger(as: UInt8.self) != nil, let command = bytes.readInteger(as: UInt8.self),
            let port = bytes.readInteger(as: UInt16.self), let address = bytes.readBytes(length: 4)
        else { return nil }
        guard let user = Self.terminated(&bytes) else { return tooLong(bytes) }
        _ = user
        var host = SOCKSAddress.text(address)
        // 4a: 0.0.0.x with x > 0 announces a name after the user id.
        if address[0] == 0, address[1] == 0, address[2] == 0, address[3] != 0 {
            guard let name = Self.terminated(&bytes) else { return tooLong(bytes) }
            guard let text = SOCKSAddress.name(name) else { return refuse4() }
            host = text
        }
        input = bytes
        guard command == 1 else { return refuse4() }
        state = .connecting4
        return .connect(SOCKSRequest(host: host, port: port))
    }

    private mutating func tooLong(_ bytes: ByteBuffer) -> Effect? {
        bytes.readableBytes > Self.maximumFieldLength ? refuse4() : nil
    }

    private mutating func refuse4() -> Effect {
        state = .finished
        return .refuse(Self.reply4(granted: false))
    }

    private static func reply4(granted: Bool) -> ByteBuffer {
        ByteBuffer(bytes: [0, granted ? 90 : 91, 0, 0, 0, 0, 0, 0])
    }

    private static func terminated(_ bytes: inout ByteBuffer) -> [UInt8]? {
        let view = bytes.readableBytesView.prefix(maximumFieldLength + 1)
        guard let end = view.firstIndex(of: 0) else { return nil }
        let field = bytes.readBytes(length: end - view.startIndex)
        bytes.moveReaderIndex(forwardBy: 1)
        return field
    }
}
