package import NIOCore

/// RDATA of the types that are understood; all others stay as they came (RFC 3597).
package enum RecordData: Hashable, Sendable {
    /// The address as its number.
    case a(UInt32)
    case aaaa(UInt128)
    case cname(Name)
    case ns(Name)
    case ptr(Name)
    case soa(StartOfAuthority)
    case srv(ServiceLocation)
    case mx(preference: UInt16, exchange: Name)
    /// Character strings, each of at most 255 bytes.
    case txt([[UInt8]])
    /// Never holds a type above.
    case unknown(RecordType, ByteBuffer)

    package var type: RecordType {
        switch self {
        case .a: .a
        case .aaaa: .aaaa
        case .cname: .cname
        case .ns: .ns
        case .ptr: .ptr
        case .soa: .soa
        case .srv: .srv
        case .mx: .mx
        case .txt: .txt
        case .unknown(let type, _): type
        }
    }
}

/// RDATA of SOA (RFC 1035 §3.3.13); times in seconds.
package struct StartOfAuthority: Hashable, Sendable {
    package var primaryServer: Name
    /// A mail address with its first dot for the `@`.
    package var responsible: Name
    package var serial: UInt32
    package var refresh: UInt32
    package var retry: UInt32
    package var expire: UInt32
    /// How long a negative answer may be kept (RFC 2308 §4).
    package var minimum: UInt32

    package init(
        primaryServer: Name, responsible: Name, serial: UInt32, refresh: UInt32, retry: UInt32, expire: UInt32,
        minimum: UInt32
    ) {
        self.primaryServer = primaryServer
        self.responsible = responsible
        self.serial = serial
        self.refresh = refresh
        self.retry = retry
        self.expire = expire
        self.minimum = minimum
    }
}

/// RDATA of SRV (RFC 2782).
package struct ServiceLocation: Hashable, Sendable {
    package var priority: UInt16
    package var weight: UInt16
    package var port: UInt16
    package var target: Name

    package init(priority: UInt16 = 0, weight: UInt16, port: UInt16, target: Name) {
        self.priority = priority
        self.weight = weight
        self.port = port
        self.target = target
    }
}
