import NIOHTTP1

/// How the bytes of a port-forward are carried: which of these an API server takes depends on its version, on what stands
/// before it, and on rights.
package enum PortForwardForm: String, CaseIterable, Hashable, Sendable {
    /// Frames of Kubernetes' own over WebSocket, of every version before 1.31 and most after.
    case channels
    /// SPDY/3.1 in the messages of a WebSocket: Kubernetes 1.31 and later (KEP-4006).
    case tunnelledSPDY
    /// SPDY/3.1 in place of HTTP, which wants the verb `create` and nothing before the server that takes HTTP alone.
    case spdy

    /// Plain SPDY carries up to half as much again as frames over WebSocket, which kubelet takes apart byte by byte.
    package static let fastestFirst: [PortForwardForm] = [.spdy, .channels, .tunnelledSPDY]

    /// As people are told.
    package var name: String {
        switch self {
        case .channels: "WebSocket"
        case .tunnelledSPDY: "SPDY over WebSocket"
        case .spdy: "SPDY"
        }
    }

    /// What is asked for, and answered.
    var protocolName: String {
        switch self {
        case .channels: "v4.channel.k8s.io"
        case .tunnelledSPDY: "SPDY/3.1+portforward.k8s.io"
        case .spdy: "portforward.k8s.io"
        }
    }

    var protocolHeader: String { self == .spdy ? "x-stream-protocol-version" : "sec-websocket-protocol" }

    var method: HTTPMethod { self == .spdy ? .POST : .GET }
}
