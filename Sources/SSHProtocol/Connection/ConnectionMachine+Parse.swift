import NIOCore

/// The type-specific parts of requests. A request of a known type that is malformed is a violation; one of an unknown
/// type is never looked into.
extension ConnectionMachine {
    /// Host names, addresses and paths longer than this are nobody's: names end at 255, paths at 108 bytes.
    private static let maximumNameLength = 1024
    /// A command line may be this long.
    private static let maximumCommandLength = 32 << 10
    /// A server has one key for each algorithm; OpenSSH stops at as many.
    private static let maximumHostKeys = 64

    static func parseOpen(
        type: String, _ payload: inout ByteBuffer
    ) throws(Disconnect) -> Result<ChannelOpenRequest, OpenFailure> {
        switch type {
        case "session":
            return .success(.session)
        case "dial@telepresence":
            return .success(.dial)
        case "direct-tcpip", "forwarded-tcpip":
            guard let name = payload.readSSHString(), let port: UInt32 = payload.readInteger(),
                let originatorHost = readName(&payload), let originatorPort: UInt32 = payload.readInteger()
            else { throw .violation("malformed \(type)") }
            // Whatever a program says to its SOCKS proxy comes here: that is no reason to end everybody's connection.
            guard let host = text(name) else {
                return .failure(OpenFailure(.connectFailed, "this is not the name of a host"))
            }
            if type == "forwarded-tcpip" {
                return .success(
                    .forwardedTCPIP(
                        address: host, port: port, originatorHost: originatorHost, originatorPort: originatorPort))
            }
            guard let port = UInt16(exactly: port), port > 0 else {
                return .failure(OpenFailure(.connectFailed, "port \(port) is not between 1 and 65535"))
            }
            return .success(
                .directTCPIP(host: host, port: port, originatorHost: originatorHost, originatorPort: originatorPort))
        case "direct-streamlocal@openssh.com", "forwarded-streamlocal@openssh.com":
            guard let path = readName(&payload) else { throw .violation("malformed \(type)") }
            return .success(
                type == "direct-streamlocal@openssh.com"
                    ? .directStreamLocal(path: path) : .forwardedStreamLocal(path: path))
        default:
            return .failure(OpenFailure(.unknownChannelType, "unknown channel type"))
        }
    }

    static func parseRequest(type: String, _ payload: inout ByteBuffer) throws(Disconnect) -> ChannelRequest {
        switch type {
        case "exec":
            guard let command = payload.readSSHString(), command.readableBytes <= maximumCommandLength else {
                throw .violation("malformed exec")
            }
            return .exec(String(decoding: command.readableBytesView, as: UTF8.self))
        case "shell": return .shell
        case "subsystem":
            guard let name = readName(&payload) else { throw .violation("malformed subsystem") }
            return .subsystem(name)
        case "pty-req": return .pseudoTerminal
        case "env", "window-change", "signal", "eow@openssh.com": return .harmless(type)
        case "exit-status":
            guard let status: UInt32 = payload.readInteger() else { throw .violation("malformed exit-status") }
            return .exitStatus(status)
        default: return .unknown(type)
        }
    }

    static func parseGlobalRequest(type: String, _ payload: inout ByteBuffer) throws(Disconnect) -> GlobalRequest {
        switch type {
        case "tcpip-forward", "cancel-tcpip-forward":
            guard let address = readName(&payload), let wide: UInt32 = payload.readInteger(),
                let port = UInt16(exactly: wide)
            else { throw .violation("malformed \(type)") }
            return type == "tcpip-forward"
                ? .tcpipForward(address: address, port: port) : .cancelTCPIPForward(address: address, port: port)
        case "streamlocal-forward@openssh.com", "cancel-streamlocal-forward@openssh.com":
            guard let path = readName(&payload) else { throw .violation("malformed \(type)") }
            return type == "streamlocal-forward@openssh.com"
                ? .streamLocalForward(path: path) : .cancelStreamLocalForward(path: path)
        case "no-more-sessions@openssh.com": return .noMoreSessions
        case "hostkeys-prove-00@openssh.com", "hostkeys-00@openssh.com":
            var keys: [[UInt8]] = []
            while payload.readableBytes > 0 {
                guard let key = payload.readSSHBytes(), keys.count < maximumHostKeys else {
                    throw .violation("malformed \(type)")
                }
                keys.append(key)
            }
            return type == "hostkeys-00@openssh.com" ? .hostKeys(keys) : .hostKeysProve(keys)
        default: return .unknown(type)
        }
    }

    private static func readName(_ payload: inout ByteBuffer) -> String? {
        payload.readSSHString().flatMap(text)
    }

    private static func text(_ bytes: ByteBuffer) -> String? {
        guard bytes.readableBytes <= maximumNameLength else { return nil }
        return String(validating: bytes.readableBytesView, as: UTF8.self)
    }
}
