import FoundationEssentials

/// A service account's token (a JWT: RFC 7519, RFC 7515) as it says of itself: nothing of it is proved.
package struct ServiceAccountToken: Sendable {
    /// `RS256`, and the rest of RFC 7518 §3.1.
    package let algorithm: String
    package let keyID: String?
    package let claims: JSONValue
    /// What is signed.
    package let signed: [UInt8]
    package let signature: [UInt8]

    /// `nil` for what is none.
    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let algorithm = header["alg"]?.string, let signature = Self.decode(parts[2])
        else { return nil }
        self.algorithm = algorithm
        keyID = header["kid"]?.string
        self.claims = claims
        signed = Array("\(parts[0]).\(parts[1])".utf8)
        self.signature = signature
    }

    private static func object(_ text: Substring) -> JSONValue? {
        guard let bytes = decode(text),
            case .object(let members) = JSONValue(text: String(decoding: bytes, as: UTF8.self))
        else { return nil }
        return .object(members)
    }

    /// base64url without padding (RFC 7515 §2).
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var plain = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        plain += String(repeating: "=", count: (4 - plain.utf8.count % 4) % 4)
        return Data(base64Encoded: plain).map(Array.init)
    }

    /// Why it is not good for that audience, from that issuer, at that time in seconds since 1970; `nil` where it is.
    package func problem(audience: String, issuer: String, now: Int64) -> String? {
        guard claims["iss"]?.string == issuer else { return "the token is another cluster's" }
        let audiences = claims["aud"]?.array ?? []
        guard audiences.contains(.string(audience)) || claims["aud"]?.string == audience else {
            return "the token is not one for \(audience)"
        }
        guard let expires = claims["exp"]?.integer, now < Int64(expires) else { return "the token has expired" }
        if let start = claims["nbf"]?.integer, now + Self.clockSkew < Int64(start) {
            return "the token is not valid yet"
        }
        return nil
    }

    /// Nodes' clocks differ by that, though they should not.
    private static let clockSkew: Int64 = 60
}
