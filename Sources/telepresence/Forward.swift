import ArgumentParser
import Forwarding
import Glibc
import Logging
import NIOPosix
import SSHClient

struct Forward: ConcurrentCommand {
    static let takesSignals = true

    static let configuration = CommandConfiguration(
        abstract: "Carry connections to and from the cluster.",
        discussion: """
            Takes any number of -L, -R and -D in ssh's own syntax: an IPv6 address in brackets, an empty bind address or *
            for every address, port 0 for a free one, and the path of a unix socket on either side. Prints a line for each
            listener once all are up, and nothing else on the standard output. If the connection breaks it is made
            again, with the same forwards; the listeners stay. Without -- COMMAND it runs until it is interrupted.

            EXAMPLES
              telepresence forward --manager cluster.example -L 8080:hello:80
                  http://127.0.0.1:8080 is the service hello.
              telepresence forward --manager cluster.example -R 0:localhost:3000
                  A free port of the manager leads to port 3000 of this machine.
              telepresence forward --manager cluster.example -D 1080 -- \\
                  env ALL_PROXY=socks5h://127.0.0.1:1080 curl http://hello.default
                  Run a command with the cluster within reach; exit with its status.
              telepresence forward --manager '[2001:db8::1]:8022' --host-key SHA256:… \\
                  -L /tmp/db.sock:postgres:5432 --output json
                  A unix socket here, the listeners as JSON.

            EXIT STATUS
              0 interrupted; 1 failure; 2 bad input; 3 manager unreachable; 4 host key unknown or changed;
              5 authentication refused; 6 forward refused; with -- COMMAND its status, or 128 + n.
            """)

    enum Output: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @Option(
        name: .customShort("L", allowingJoined: true),
        help: ArgumentHelp("Listen here, connect from the manager.", valueName: "[bind:]port:host:port"))
    var local: [String] = []

    @Option(
        name: .customShort("R", allowingJoined: true),
        help: ArgumentHelp("Listen at the manager, connect from here.", valueName: "[bind:]port[:host:port]"))
    var remote: [String] = []

    @Option(
        name: .customShort("D", allowingJoined: true),
        help: ArgumentHelp("Listen here for SOCKS 4, 4a and 5.", valueName: "[bind:]port"))
    var dynamic: [String] = []

    @OptionGroup var managerOptions: ManagerOptions

    @Option(name: .long, help: "How to print the listeners.")
    var output = Output.text

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp("A command to run while the forwards are up.", valueName: "command"))
    var command: [String] = []

    func validate() throws {
        guard !local.isEmpty || !remote.isEmpty || !dynamic.isEmpty else {
            throw ValidationError("nothing to forward; expected at least one -L, -R or -D")
        }
        _ = try specs()
    }

    private func specs() throws -> [ForwardSpec] {
        do {
            return try local.map { try ForwardSpec(.local, parsing: $0) }
                + remote.map { try ForwardSpec(.remote, parsing: $0) }
                + dynamic.map { try ForwardSpec(.dynamic, parsing: $0) }
        } catch let error as ForwardSpecError {
            throw ValidationError(error.description)
        }
    }

    private enum Event: Sendable {
        case up(ForwardingService)
        case notUp(any Error)
        case connection(ForwardingEvent)
        case signal(Signals.Received)
        case commandEnded(Int32)
    }

    func run() async throws {
        let specs = try specs()
        let configuration = try managerOptions.configuration()
        let (events, sink) = AsyncStream.makeStream(of: Event.self)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let signals = Task {
            for await signal in Signals.received { sink.yield(.signal(signal)) }
        }
        defer { signals.cancel() }
        let start = Task {
            do {
                let service = try await ForwardingService.start(
                    specs, configuration: configuration, on: loop, logger: Logger(label: "telepresence")
                ) { sink.yield(.connection($0)) }
                sink.yield(.up(service))
            } catch {
                sink.yield(.notUp(error))
            }
        }
        defer { start.cancel() }

        var service: ForwardingService?
        var child: ChildProcess?
        for await event in events {
            switch event {
            case .notUp(let error):
                throw error
            case .up(let started):
                service = started
                for forward in started.forwards {
                    let line = output == .json ? ForwardOutput.json(forward) : ForwardOutput.text(forward)
                    Exit.write(line + "\n", to: STDOUT_FILENO)
                }
                guard !command.isEmpty else { continue }
                do {
                    let process = try ChildProcess(command)
                    child = process
                    NIOThreadPool.singleton.submit { _ in sink.yield(.commandEnded(process.wait())) }
                } catch let error as CommandNotRun {
                    await started.shutDown()
                    Exit.fail("\(error.name): \(error.reason)", error.status)
                }
            case .connection(let event):
                if case .failed(let error) = event, child == nil {
                    await service?.shutDown()
                    throw error
                }
                if let line = ForwardOutput.event(event) { Exit.write("telepresence: \(line)\n", to: STDERR_FILENO) }
            case .signal(let signal):
                if let child {
                    // What the terminal sends reaches the command by itself.
                    if signal.isFromProcess { child.send(signal.number) }
                    continue
                }
                await service?.shutDown()
                switch signal.number {
                case SIGINT, SIGTERM: throw service == nil ? ExitCode(128 + signal.number) : ExitCode.success
                default: throw ExitCode(128 + signal.number)
                }
            case .commandEnded(let status):
                await service?.shutDown()
                throw ExitCode(status)
            }
        }
    }
}
