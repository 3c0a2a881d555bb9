/// Why a channel was not opened (RFC 4254 §5.1), with the text the client prints.
package struct OpenFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: UInt32, Sendable {
        case administrativelyProhibited = 1
        case connectFailed = 2
        case unknownChannelType = 3
        case resourceShortage = 4
    }

    package var reason: Reason
    package var text: String

    package init(_ reason: Reason, _ text: String) {
        self.reason = reason
        self.text = text
    }

    package var description: String { text }
}
