import ArgumentParser
import Glibc
import Workstation

/// What `connect` starts.
struct DaemonCommand: ConcurrentCommand {
    static let takesSignals = true

    static let configuration = CommandConfiguration(
        commandName: "daemon", abstract: "Hold a session. Started by connect.", shouldDisplay: false)

    @Argument(help: "The session's name, to be seen in lists of processes.")
    var name = DaemonPaths.defaultName

    func run() async throws {
        throw ExitCode(await Daemon.run(link: try Self.link, signals: signals))
    }

    private static let inherited = Result { try Daemon.detach() }

    private static var link: CInt {
        get throws { try inherited.get() }
    }

    /// To be called while the process has one thread.
    static func detach() throws { _ = try link }

    private var signals: AsyncStream<CInt> {
        let (stream, sink) = AsyncStream.makeStream(of: CInt.self)
        let task = Task {
            for await signal in Signals.received { sink.yield(signal.number) }
        }
        sink.onTermination = { _ in task.cancel() }
        return stream
    }
}
