import NIOCore
import SSHProtocol

/// What a channel is joined to on this side.
enum Endpoint {
    case none
    /// The target is being connected; the channel is not confirmed.
    case connecting(Dialer)
    case joined(Joint)
    case command(CommandChannel)
    case dial(DialChannel)
}
