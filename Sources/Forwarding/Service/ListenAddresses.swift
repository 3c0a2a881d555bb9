/// Which addresses a bind address means, as ssh reads it.
struct ListenAddresses: Hashable {
    var first: String
    var second: String?

    /// None or `localhost`: both loopbacks; empty or `*`: every address; else the one that is given.
    static func resolve(_ bindAddress: String?) -> ListenAddresses {
        switch bindAddress {
        case nil, "localhost"?: ListenAddresses(first: "127.0.0.1", second: "::1")
        case ""?, "*"?: ListenAddresses(first: "0.0.0.0", second: "::")
        case let address?: ListenAddresses(first: address, second: nil)
        }
    }
}
