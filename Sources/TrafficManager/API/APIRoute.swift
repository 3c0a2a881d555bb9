import HTTPTypes
import HummingbirdCore

/// One path of the API. Those that are read: GET, and HEAD, which answers the same without the body.
struct APIRoute: Sendable {
    /// Who may ask.
    enum Audience {
        /// Anyone who reaches the port.
        case everyone
        /// Anyone who reaches the port; in a cluster, whom its rules permit.
        case monitoring
        /// A session, through `api.telepresence`.
        case session
    }

    typealias Handler = @Sendable (APIRequest) async throws -> Response

    var path: String
    var audience: Audience
    /// GET, or POST for what changes something.
    var method = HTTPRequest.Method.get
    /// Query parameters it knows; others are ignored.
    var parameters: [String] = []
    var handler: Handler
}
