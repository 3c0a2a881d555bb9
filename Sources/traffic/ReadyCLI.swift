import ArgumentParser
import Glibc
import NIOCore
import TrafficManager

/// `traffic ready`: waits for the manager beside it, as a container's `postStart` hook. Kubernetes takes a container for
/// started once that has ended, whereas a probe is asked in its own time only.
struct ReadyCLI: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ready", abstract: "Waits until the manager on this machine is ready.",
        discussion: "It asks /readyz of the manager's API. Exit codes: 1 when the manager is not ready in time.")

    @Option(name: .long, help: ArgumentHelp("Of the manager's API, on 127.0.0.1.", valueName: "port"))
    var apiPort: UInt16 = 8081

    @Option(name: .long, help: ArgumentHelp("How long to wait.", valueName: "time"))
    var timeout = TimeLength(seconds: 60)

    /// Between attempts: shorter than what is waited for, which listens some tens of milliseconds after its start.
    private static let pauseMicroseconds: UInt32 = 10_000
    /// For one answer: a manager that takes the connection and says nothing is asked again.
    private static let patience = timeval(tv_sec: 1, tv_usec: 0)
    /// More than a status line.
    private static let answerSize = 256

    func run() throws {
        let deadline = ContinuousClock.now + .seconds(timeout.seconds)
        while !Self.isReady(apiPort) {
            guard ContinuousClock.now < deadline else {
                throw StartFailure.failed("the manager at 127.0.0.1:\(apiPort) is not ready in \(timeout) s")
            }
            usleep(Self.pauseMicroseconds)
        }
    }

    private static func isReady(_ port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var patience = patience
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        guard let address = try? SocketAddress(ipAddress: "127.0.0.1", port: Int(port)) else { return false }
        let connected = address.withSockAddr { connect(descriptor, $0, socklen_t($1)) }
        let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        guard connected == 0, send(descriptor, request, request.utf8.count, 0) > 0 else {
            return false
        }
        var answer = [UInt8](repeating: 0, count: answerSize)
        let count = recv(descriptor, &answer, answer.count, 0)
        return count > 0 && String(decoding: answer.prefix(count), as: UTF8.self).hasPrefix("HTTP/1.1 200 ")
    }
}
