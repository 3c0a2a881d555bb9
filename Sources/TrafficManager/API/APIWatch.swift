import ControlAPI
import HTTPTypes
import HummingbirdCore
import NIOCore

/// Watches: answers that go on, one line of JSON for each change, until the connection ends.
struct APIWatch: Sendable {
    /// How long after a change a watcher may learn of it. Looking is cheap: a comparison of two lists in memory.
    let interval: Duration

    func stream<Object: Codable & Hashable & Sendable, ID: Hashable & Comparable & Sendable>(
        to request: APIRequest, id: @escaping @Sendable (Object) -> ID,
        differs: @escaping @Sendable (Object, Object) -> Bool,
        list: @escaping @Sendable () async -> [Object]
    ) -> Response {
        let interval = interval
        let channel = request.channel
        let body = ResponseBody { writer in
            var state = WatchState<Object, ID>(id: id, differs: differs)
            var isFirst = true
            // A sleep throws when the server stops.
            while channel.isActive {
                var lines = ByteBuffer()
                for event in state.update(to: await list()) {
                    lines.writeString(try JSON.encode(event) + "\n")
                }
                // The head goes out with the first write, even of nothing.
                if isFirst || lines.readableBytes > 0 { try await writer.write(lines) }
                isFirst = false
                try await Task.sleep(for: interval)
            }
        }
        return Response(
            status: .ok, headers: [.contentType: APIAnswer.jsonLines, .cacheControl: "no-store"], body: body)
    }
}
