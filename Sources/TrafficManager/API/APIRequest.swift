import HTTPTypes
import HummingbirdCore
import NIOCore
import SSHServer

/// A request, and where it came from.
struct APIRequest: Sendable {
    let request: Request
    let channel: any Channel
    /// Who asks, when it came through SSH; nobody else is known.
    let session: SessionIdentity?
    let path: String

    init(_ request: Request, channel: any Channel, session: SessionIdentity?) {
        self.request = request
        self.channel = channel
        self.session = session
        self.path = request.uri.path
    }

    /// The first value of a query parameter.
    func parameter(_ name: String) -> String? {
        request.uri.queryParameters[Substring(name)].map(String.init)
    }

    /// Of `Authorization: Bearer …` (RFC 6750 §2.1).
    var bearerToken: String? {
        guard let value = request.headers[.authorization], value.lowercased().hasPrefix("bearer ") else { return nil }
        return String(value.dropFirst("bearer ".count))
    }

    var method: HTTPRequest.Method { request.method }
}
