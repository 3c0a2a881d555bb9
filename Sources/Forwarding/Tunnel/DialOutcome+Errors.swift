import Glibc
import IPPacket
import NIOCore
import NIOPosix
import SSHClient

extension DialOutcome {
    /// What an app would have met on the manager's spot. The manager's reason is a number of RFC 4254 §5.1; what kind of
    /// connect failure it was is only in its text.
    init(_ error: SSHClientError) {
        switch error.refusal {
        case .prohibited?: self = .failed(.prohibited)
        case .connectFailed(let text)?: self = Self.connectFailure(text.lowercased())
        // Too much is under way, or the session is gone: the app's next SYN may be luckier.
        case .other?, nil: self = .timedOut
        }
    }

    private static func connectFailure(_ text: String) -> DialOutcome {
        if text.contains("timed out") || text.contains("timeout") { return .timedOut }
        // A service without endpoints, or without this port, refuses at once, as kube-proxy has it.
        if text.contains("refused") || text.contains("reset") || text.contains("no ready endpoints")
            || text.contains("no port")
        {
            return .refused
        }
        return .failed(.hostUnreachable)
    }

    /// What a connection from this machine met.
    init(connecting error: any Error) {
        switch error {
        case let error as IOError: self = Self.systemFailure(error.errnoCode)
        case let error as NIOConnectionError:
            self = error.connectionErrors.first.map { DialOutcome(connecting: $0.error) } ?? .failed(.hostUnreachable)
        case ChannelError.connectTimeout: self = .timedOut
        default: self = .failed(.hostUnreachable)
        }
    }

    private static func systemFailure(_ code: CInt) -> DialOutcome {
        switch code {
        case ECONNREFUSED, ECONNRESET: .refused
        case ETIMEDOUT: .timedOut
        // Descriptors or ports have run out: that may pass.
        case EMFILE, ENFILE, EADDRNOTAVAIL, ENOBUFS, ENOMEM: .timedOut
        case EACCES, EPERM: .failed(.prohibited)
        default: .failed(.hostUnreachable)
        }
    }
}
