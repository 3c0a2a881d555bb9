/// Why bytes are not a DNS message, a name's text is not a name, or a message cannot be written.
package enum DNSError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes end inside what is named.
    case truncated(String)
    case labelTooLong
    case nameTooLong
    case emptyLabel
    /// A `\` without what has to follow it (RFC 4343 §2.1).
    case badEscape
    /// A label's first two bits are 01 or 10 (RFC 1035 §4.1.4, RFC 6891 §5).
    case unknownLabelType
    /// A compression pointer that does not lead to an earlier place in the message, or too many in one name.
    case badPointer
    /// A record's data does not have the form its type asks for.
    case badRecordData(RecordType)
    /// More than one OPT record, or one with a name (RFC 6891 §6.1).
    case badOPT
    case trailingBytes(Int)
    case messageTooLong(Int)
    /// The length before a message on a stream is less than a header's.
    case frameTooShort(Int)
    case textTooLong

    package var description: String {
        switch self {
        case .truncated(let what): "the message ends inside \(what)"
        case .labelTooLong: "a label is longer than \(Name.maximumLabelLength) bytes"
        case .nameTooLong: "a name is longer than \(Name.maximumLength) bytes"
        case .emptyLabel: "a name has an empty label"
        case .badEscape: "a name ends in an unfinished or impossible escape"
        case .unknownLabelType: "a label is of an unknown type"
        case .badPointer: "a compression pointer does not lead back"
        case .badRecordData(let type): "the data of a record is not what \(type) asks for"
        case .badOPT: "the OPT record is named, or there is more than one"
        case .trailingBytes(let count): "\(count) bytes follow the last record"
        case .messageTooLong(let length): "a message of \(length) bytes; the most is \(Message.maximumLength)"
        case .frameTooShort(let length): "a frame of \(length) bytes; a header alone has \(Header.length)"
        case .textTooLong: "a character string is longer than 255 bytes"
        }
    }
}
