import NIOCore
import SSHProtocol

/// A session's dial channel: the requests that wait for an answer, and the channels that wait for their request.
final class DialChannel {
    /// As many as may wait in the engine's accept queue.
    static let maximumPending = 4096

    var channel: EngineChannel
    let listener: EngineListener
    var input = ByteBuffer()
    var output = ByteBuffer()
    private var nextID: UInt32 = 1
    var pending: [UInt32: OpenRequest] = [:]
    /// Ids of `opened` frames whose channel has not been accepted yet.
    var opened = CircularBuffer<UInt32>()
    /// Channels accepted before their frame was read.
    var accepted = CircularBuffer<EngineChannel>()

    init(channel: EngineChannel, listener: EngineListener) {
        self.channel = channel
        self.listener = listener
    }

    func request(_ request: OpenRequest) -> UInt32 {
        let id = nextID
        nextID &+= 1
        pending[id] = request
        let frame: DialFrame =
            switch request.target {
            case .tcp(let host, let port):
                .dial(
                    id: id, host: host, port: UInt32(port), originatorHost: request.originator.host,
                    originatorPort: UInt32(request.originator.port))
            case .unix(let path):
                .dialStreamLocal(id: id, path: path)
            }
        frame.write(into: &output)
        return id
    }
}
