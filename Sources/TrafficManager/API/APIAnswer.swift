import ControlAPI
import HTTPTypes
import HummingbirdCore
import NIOCore

/// The shapes of an answer.
enum APIAnswer {
    static let json = "application/json"
    static let jsonLines = "application/jsonl"

    static func text(
        _ text: String, status: HTTPResponse.Status = .ok, contentType: String = "text/plain; charset=utf-8"
    ) -> Response {
        Response(
            status: status, headers: [.contentType: contentType, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    /// One line of JSON, with a line break for those who read it on a terminal.
    static func model(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        guard let line = try? JSON.encode(value) else {
            return text(
                "{\"error\":\"the answer has no JSON form\"}\n", status: .internalServerError, contentType: json)
        }
        return text(line + "\n", status: status, contentType: json)
    }

    static func error(_ status: HTTPResponse.Status, _ text: String) -> Response {
        model(ErrorInfo(String(text.prefix(512))), status: status)
    }
}
