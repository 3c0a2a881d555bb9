/// A DNS message (RFC 1035 §4), its OPT record apart from the additional section.
package struct Message: Hashable, Sendable {
    package var header: Header
    package var questions: [Question]
    package var answers: [ResourceRecord]
    package var authorities: [ResourceRecord]
    package var additionals: [ResourceRecord]
    package var edns: EDNS?

    /// What the two bytes of a length on a stream can say (RFC 1035 §4.2.2).
    package static let maximumLength = 65_535

    package init(
        header: Header = Header(), questions: [Question] = [], answers: [ResourceRecord] = [],
        authorities: [ResourceRecord] = [], additionals: [ResourceRecord] = [], edns: EDNS? = nil
    ) {
        self.header = header
        self.questions = questions
        self.answers = answers
        self.authorities = authorities
        self.additionals = additionals
        self.edns = edns
    }

    /// All twelve bits. Without an OPT record the upper eight are lost.
    package var responseCode: ResponseCode {
        get { ResponseCode(rawValue: UInt16(edns?.extendedResponseCode ?? 0) << 4 | UInt16(header.responseCode)) }
        set {
            header.responseCode = UInt8(newValue.rawValue & 0xf)
            edns?.extendedResponseCode = UInt8(truncatingIfNeeded: newValue.rawValue >> 4)
        }
    }
}
