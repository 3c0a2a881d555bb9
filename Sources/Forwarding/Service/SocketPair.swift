import Glibc
package import NIOCore
import NIOPosix

/// Two connected sockets of this process, set up as an app's.
package enum SocketPair {
    package static func make(on eventLoop: any EventLoop) -> EventLoopFuture<(any Channel, any Channel)> {
        var descriptors: [CInt] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &descriptors) == 0 else {
            return eventLoop.makeFailedFuture(IOError(errnoCode: errno, reason: "socketpair"))
        }
        let (first, second) = (descriptors[0], descriptors[1])
        let near = AppChannelOptions.apply(to: ClientBootstrap(group: eventLoop)).withConnectedSocket(first)
        let far = AppChannelOptions.apply(to: ClientBootstrap(group: eventLoop)).withConnectedSocket(second)
        return near.and(far).map { ($0, $1) }
    }
}
