/// One message of the D-Bus protocol (D-Bus specification, "Message Protocol"), little-endian. Only what is needed to call
/// methods and read simple answers.
struct DBusMessage: Hashable, Sendable {
    enum Kind: UInt8, Sendable {
        case call = 1
        case answer = 2
        case error = 3
        case signal = 4
    }

    indirect enum Value: Hashable, Sendable {
        case byte(UInt8)
        case bool(Bool)
        case int32(Int32)
        case uint32(UInt32)
        case string(String)
        case path(String)
        case signature(String)
        /// The elements, and what each of them is.
        case array(String, [Value])
        case structure([Value])
        case variant(Value)

        /// In the type codes of the specification.
        var signature: String {
            switch self {
            case .byte: "y"
            case .bool: "b"
            case .int32: "i"
            case .uint32: "u"
            case .string: "s"
            case .path: "o"
            case .signature: "g"
            case .array(let element, _): "a" + element
            case .structure(let values): "(" + values.map(\.signature).joined() + ")"
            case .variant: "v"
            }
        }

        static func bytes(_ bytes: [UInt8]) -> Value { .array("y", bytes.map { .byte($0) }) }
    }

    var kind: Kind
    var serial: UInt32 = 0
    /// Of the header fields: path 1, interface 2, member 3, error name 4, reply serial 5, destination 6.
    var fields: [UInt8: Value] = [:]
    var body: [Value] = []

    static func call(_ destination: String, _ path: String, _ interface: String, _ member: String, _ body: [Value])
        -> DBusMessage
    {
        DBusMessage(
            kind: .call,
            fields: [1: .path(path), 2: .string(interface), 3: .string(member), 6: .string(destination)], body: body)
    }

    /// Of an answer: the call it belongs to.
    var replySerial: UInt32? {
        if case .uint32(let serial) = fields[5] { serial } else { nil }
    }

    /// Of an error: its name and what it says.
    var errorText: String {
        if case .string(let text) = body.first { return text }
        if case .string(let name) = fields[4] { return name }
        return "an error without a name"
    }

    // MARK: Encoding

    var bytes: [UInt8] {
        var content = Writer()
        for value in body { content.write(value) }
        var header = Writer()
        header.bytes = [0x6c, kind.rawValue, 0, 1]
        header.write(.uint32(UInt32(content.bytes.count)))
        header.write(.uint32(serial))
        var fields = fields
        if !body.isEmpty { fields[8] = .signature(body.map(\.signature).joined()) }
        header.write(.array("(yv)", fields.sorted { $0.key < $1.key }.map { .structure([.byte($0), .variant($1)]) }))
        header.align(8)
        return header.bytes + content.bytes
    }

    private struct Writer {
        var bytes: [UInt8] = []

        mutating func align(_ size: Int) {
            while bytes.count % size != 0 { bytes.append(0) }
        }

        mutating func number(_ number: UInt32) {
            align(4)
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        }

        mutating func write(_ value: Value) {
            switch value {
            case .byte(let byte): bytes.append(byte)
            case .bool(let bool): number(bool ? 1 : 0)
            case .int32(let value): number(UInt32(bitPattern: value))
            case .uint32(let value): number(value)
            case .string(let text), .path(let text):
                number(UInt32(text.utf8.count))
                bytes += Array(text.utf8) + [0]
            case .signature(let text):
                bytes += [UInt8(text.utf8.count)] + Array(text.utf8) + [0]
            case .array(let element, let values):
                number(0)
                let place = bytes.count
                align(Reader.alignment(element.utf8.first ?? 0))
                let start = bytes.count
                for value in values { write(value) }
                let count = UInt32(bytes.count - start)
                for index in 0..<4 { bytes[place - 4 + index] = UInt8(truncatingIfNeeded: count >> (index * 8)) }
            case .structure(let values):
                align(8)
                for value in values { write(value) }
            case .variant(let value):
                write(.signature(value.signature))
                write(value)
            }
        }
    }

    // MARK: Decoding

    /// The least that says how long a message is.
    static let prefixLength = 16

    /// The length of the message that starts so; nil if it is none, or longer than anything we ask for.
    static func length(of prefix: some Collection<UInt8>) -> Int? {
        let prefix = Array(prefix)
        guard prefix.count >= prefixLength, prefix[0] == 0x6c, prefix[3] == 1 else { return nil }
        let body = Int(Reader.number(prefix[4..<8]))
        let fields = Int(Reader.number(prefix[12..<16]))
        guard body <= 1 << 20, fields <= 1 << 16 else { return nil }
        return (prefixLength + fields + 7) / 8 * 8 + body
    }

    /// nil if it is not well formed, or has something in it that is not known here.
    init?(_ bytes: [UInt8]) {
        guard let length = Self.length(of: bytes), length == bytes.count, let kind = Kind(rawValue: bytes[1]) else {
            return nil
        }
        self.kind = kind
        var reader = Reader(bytes: bytes, offset: 8)
        guard case .uint32(let serial)? = reader.read("u"), case .array(_, let fields)? = reader.read("a(yv)") else {
            return nil
        }
        self.serial = serial
        for case .structure(let field) in fields {
            if case .byte(let code)? = field.first, case .variant(let value)? = field.last { self.fields[code] = value }
        }
        reader.align(8)
        if case .signature(let signature)? = self.fields[8] {
            guard let values = reader.readAll(signature) else { return nil }
            body = values
        }
    }

    init(kind: Kind, fields: [UInt8: Value], body: [Value]) {
        self.kind = kind
        self.fields = fields
        self.body = body
    }

    private struct Reader {
        let bytes: [UInt8]
        var offset: Int
        /// Values inside values; the specification allows 64.
        var depth = 0

        static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) } }

        static func alignment(_ code: UInt8) -> Int {
            switch code {
            case UInt8(ascii: "y"), UInt8(ascii: "g"), UInt8(ascii: "v"): 1
            case UInt8(ascii: "n"), UInt8(ascii: "q"): 2
            case UInt8(ascii: "x"), UInt8(ascii: "t"), UInt8(ascii: "d"), UInt8(ascii: "("), UInt8(ascii: "{"): 8
            default: 4
            }
        }

        mutating func align(_ size: Int) { offset = (offset + size - 1) / size * size }

        mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard count >= 0, offset + count <= bytes.count else { return nil }
            defer { offset += count }
            return bytes[offset..<offset + count]
        }

        /// Every value of a signature of several.
        mutating func readAll(_ signature: String) -> [Value]? {
            var rest = Array(signature.utf8)[...]
            var values: [Value] = []
            while !rest.isEmpty {
                guard let size = Self.size(rest), let value = read(String(decoding: rest.prefix(size), as: UTF8.self))
                else { return nil }
                values.append(value)
                rest = rest.dropFirst(size)
            }
            return values
        }

        /// How many type codes make the first complete type.
        static func size(_ codes: ArraySlice<UInt8>) -> Int? {
            guard let first = codes.first else { return nil }
            switch first {
            case UInt8(ascii: "a"): return size(codes.dropFirst()).map { $0 + 1 }
            case UInt8(ascii: "("):
                var count = 1
                while codes.dropFirst(count).first != UInt8(ascii: ")") {
                    guard let inner = size(codes.dropFirst(count)) else { return nil }
                    count += inner
                }
                return count + 1
            default: return 1
            }
        }

        mutating func read(_ signature: String) -> Value? {
            depth += 1
            defer { depth -= 1 }
            guard depth <= 16, let code = signature.utf8.first else { return nil }
            align(Self.alignment(code))
            switch code {
            case UInt8(ascii: "y"): return take(1)?.first.map { .byte($0) }
            case UInt8(ascii: "b"): return take(4).map { .bool(Self.number($0) != 0) }
            case UInt8(ascii: "i"): return take(4).map { .int32(Int32(bitPattern: Self.number($0))) }
            case UInt8(ascii: "u"): return take(4).map { .uint32(Self.number($0)) }
            case UInt8(ascii: "s"), UInt8(ascii: "o"):
                guard let size = take(4).map({ Int(Self.number($0)) }), let text = take(size), take(1) != nil else {
                    return nil
                }
                let string = String(decoding: text, as: UTF8.self)
                return code == UInt8(ascii: "s") ? .string(string) : .path(string)
            case UInt8(ascii: "g"):
                guard let size = take(1)?.first, let text = take(Int(size)), take(1) != nil else { return nil }
                return .signature(String(decoding: text, as: UTF8.self))
            case UInt8(ascii: "v"):
                guard case .signature(let inner)? = read("g"), let value = read(inner) else { return nil }
                return .variant(value)
            case UInt8(ascii: "a"):
                let element = String(signature.dropFirst())
                guard let size = take(4).map({ Int(Self.number($0)) }), let first = element.utf8.first else {
                    return nil
                }
                align(Self.alignment(first))
                let end = offset + size
                guard end <= bytes.count else { return nil }
                var values: [Value] = []
                while offset < end {
                    guard let value = read(element) else { return nil }
                    values.append(value)
                }
                return offset == end ? .array(element, values) : nil
            case UInt8(ascii: "("):
                return readAll(String(signature.dropFirst().dropLast())).map { .structure($0) }
            default: return nil
            }
        }
    }
}
