import Logging
import NIOConcurrencyHelpers
import NIOCore
import SSHProtocol
import Synchronization

/// What the connections of one server share.
final class ServerCore: Sendable {
    let configuration: SSHServerConfiguration
    let delegate: any SSHServerDelegate
    /// For services of this process, which speak NIO.
    let group: any EventLoopGroup
    let logger: Logger
    let counters = ServerCounters()
    /// Connections that are not logged in, for MaxStartups.
    let startups = Counter()
    private let nextSessionID = Atomic<UInt64>(1)
    private let penalties: NIOLockedValueBox<PenaltyTable>
    private let handlers = NIOLockedValueBox<[ObjectIdentifier: ServerConnection]>([:])
    private let sessions = NIOLockedValueBox<[UInt64: ServerConnection]>([:])
    private let isShuttingDown = Atomic<Bool>(false)

    init(
        configuration: SSHServerConfiguration, delegate: any SSHServerDelegate, group: any EventLoopGroup,
        logger: Logger
    ) {
        self.configuration = configuration
        self.delegate = delegate
        self.group = group
        self.logger = logger
        penalties = NIOLockedValueBox(PenaltyTable(policy: configuration.limits.penalties))
    }

    /// Why a connection from `source` is not even begun; `nil` when it may be.
    func refusal(of source: String) -> String? {
        if isShuttingDown.load(ordering: .relaxed) { return "shutdown" }
        if penalties.withLockedValue({ $0.refuses(source, now: .now()) }) { return "penalty" }
        let waiting = Int(startups.value)
        if configuration.limits.maxStartups.drops(waiting: waiting, draw: Int.random(in: 0..<100)) {
            return "max-startups"
        }
        return nil
    }

    func punish(_ source: String, for offence: PenaltyPolicy.Offence) {
        penalties.withLockedValue { $0.punish(source, for: offence, now: .now()) }
    }

    func makeSessionID() -> UInt64 { nextSessionID.wrappingAdd(1, ordering: .relaxed).oldValue }

    func add(_ handler: ServerConnection) {
        handlers.withLockedValue { $0[ObjectIdentifier(handler)] = handler }
    }

    func remove(_ handler: ServerConnection) {
        handlers.withLockedValue { $0[ObjectIdentifier(handler)] = nil }
        if let id = handler.identity?.id { sessions.withLockedValue { $0[id] = nil } }
    }

    /// The connection has logged in.
    func addSession(_ connection: ServerConnection, id: UInt64) { sessions.withLockedValue { $0[id] = connection } }

    func session(_ id: UInt64) -> ServerConnection? { sessions.withLockedValue { $0[id] } }

    var connections: [ServerConnection] { handlers.withLockedValue { Array($0.values) } }

    /// From now on no connection is begun.
    func beginShutdown() { isShuttingDown.store(true, ordering: .relaxed) }
}
