import Glibc
package import NIOCore
package import SSHProtocol
import Synchronization

/// What the owner of a server decides. The server itself knows SSH and sockets, and permits nothing on its own.
///
/// Every call is made on the connection's event loop and must not block it. That loop has timers and futures, but no
/// channels of NIO's.
package protocol SSHServerDelegate: Sendable {
    /// Where a `direct-tcpip` channel leads. The key's own options have been applied already.
    func destination(
        host: String, port: UInt16, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Destination>

    /// Where a `direct-streamlocal@openssh.com` channel leads.
    func destination(
        socketPath: String, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Destination>

    /// Where a `tcpip-forward` listens. `nil` host parts are never passed: `bindAddress` is the string as it was sent.
    func listener(
        bindAddress: String, port: UInt16, for session: SessionIdentity
    ) -> Result<ListenerPlace, OpenFailure>

    /// Where a `streamlocal-forward@openssh.com` listens.
    func listener(socketPath: String, for session: SessionIdentity) -> Result<ListenerPlace, OpenFailure>

    /// A remote forward without sockets is gone: taken back, or its session has ended, with a farewell or without.
    func forwardEnded(bindAddress: String, port: UInt16, for session: SessionIdentity, isWithdrawn: Bool)

    /// Runs a built-in command (`ssh … manager status`); the result is complete when the future is.
    func run(
        command: String, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<CommandResult>

    /// A service of this process behind a subsystem (RFC 4254 §6.5); `nil`: there is none of that name. The key's own
    /// options have been applied already.
    func subsystem(_ name: String, for session: SessionIdentity) -> Subsystem?

    /// Whether a token of `SSHServerConfiguration.tokenUser` lets its bearer in. Asked of strangers: bounded by the grace
    /// time and the limits of connections that are not authenticated.
    func authenticate(token: String, on eventLoop: any EventLoop) -> EventLoopFuture<TokenDecision>

    /// The loop of the connection that one from `host` is likely to be joined to: on the same, neither wakes the other.
    /// `nil`: any will do. Asked of whoever connects, on any thread, and for speed alone.
    func eventLoop(forConnectionFrom host: String) -> (any EventLoop)?
}

extension SSHServerDelegate {
    package func authenticate(token: String, on eventLoop: any EventLoop) -> EventLoopFuture<TokenDecision> {
        eventLoop.makeSucceededFuture(.refused("no token is taken here"))
    }

    package func eventLoop(forConnectionFrom host: String) -> (any EventLoop)? { nil }

    package func forwardEnded(bindAddress: String, port: UInt16, for session: SessionIdentity, isWithdrawn: Bool) {}

    package func subsystem(_ name: String, for session: SessionIdentity) -> Subsystem? { nil }
}

/// Where a subsystem leads.
package enum Subsystem: Sendable {
    /// A service inside this process: it is handed its end of a connected pair of sockets, on a loop of NIO's.
    case service(@Sendable (any Channel) -> EventLoopFuture<Void>)
    /// It has nothing to serve now; why, in lines for a person.
    case unavailable(String)
}

/// Where a channel leads.
package enum Destination: Sendable {
    /// Addresses to race, in order of preference (RFC 8305).
    case addresses([SocketAddress])
    /// A service inside this process: it is handed its end of a connected pair of sockets, on a loop of NIO's.
    case service(@Sendable (any Channel) -> EventLoopFuture<Void>)
    /// Another session, by a remote forward of its own that has no socket.
    case forward(ForwardDestination)
    /// Another channel that is being opened, of this session or another: `pair` makes both.
    case channel(ChannelEnd)
    case refused(OpenFailure)
}

/// A remote forward of a session, by the strings that it was asked for with.
package struct ForwardDestination: Hashable, Sendable {
    package var session: UInt64
    package var bindAddress: String
    package var port: UInt16

    package init(session: UInt64, bindAddress: String, port: UInt16) {
        self.session = session
        self.bindAddress = bindAddress
        self.port = port
    }
}

/// Where a remote forward listens: one socket for each address, all on the same port; or nowhere, and connections come by
/// `Destination.forward`.
package struct ListenerPlace: Sendable {
    package var addresses: [SocketAddress]
    package var hasSockets = true

    /// No socket.
    package static let virtual: ListenerPlace = {
        var place = ListenerPlace(addresses: [])
        place.hasSockets = false
        return place
    }()

    package init(addresses: [SocketAddress]) {
        self.addresses = addresses
    }
}

/// What a built-in command leaves.
package struct CommandResult: Sendable {
    package var standardOutput: String
    package var standardError: String
    package var exitStatus: UInt32

    package init(standardOutput: String = "", standardError: String = "", exitStatus: UInt32 = 0) {
        self.standardOutput = standardOutput
        self.standardError = standardError
        self.exitStatus = exitStatus
    }
}
