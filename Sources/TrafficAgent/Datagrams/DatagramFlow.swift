import ControlAPI
import Forwarding
import NIOCore
import NIOPosix
import SSHClient

/// The datagrams of one client: where they go, and the answers' way back. Confined to the loop of the manager's sessions.
final class DatagramFlow {
    private let verdict: RuleBook.Verdict?
    private let holders: HolderLine
    private let answer: (ByteBuffer) -> Void
    private let route = DatagramRoute()
    private var taps: [DatagramRoute] = []
    private(set) var lastUsed = NIODeadline.now()

    init(
        _ verdict: RuleBook.Verdict?, from client: SocketAddress, holders: HolderLine,
        answer: @escaping (ByteBuffer) -> Void
    ) {
        self.verdict = verdict
        self.holders = holders
        self.answer = answer
        let originator = Originator(client)
        let isConnected = verdict?.isConnected == true
        if let rule = verdict?.intercept, isConnected {
            openHolder(rule, originator)
        } else if verdict?.intercept?.isProtected == true {
            route.close()
        } else {
            openApp()
        }
        guard isConnected else { return }
        for rule in verdict?.taps ?? [] { openTap(rule, originator) }
    }

    var isAlive: Bool { route.isAlive }

    func isUnder(_ verdict: RuleBook.Verdict?) -> Bool {
        self.verdict?.generation == verdict?.generation && self.verdict?.isConnected == verdict?.isConnected
    }

    func send(_ bytes: ByteBuffer) {
        lastUsed = .now()
        for tap in taps { tap.send(bytes) }
        route.send(bytes)
    }

    func close() {
        route.close()
        for tap in taps { tap.close() }
        taps = []
    }

    // MARK: Opening

    private func makeEnd() -> DatagramEnd {
        DatagramEnd(
            received: { [weak self] bytes in
                self?.lastUsed = .now()
                self?.answer(bytes)
            },
            ended: { [weak self] _ in self?.close() })
    }

    private func openApp() {
        let end = makeEnd()
        DatagramEnd.connect(to: holders.app, on: holders.eventLoop, end).assumeIsolated().whenComplete { result in
            switch result {
            case .success: self.route.opened(end)
            case .failure: self.close()
            }
        }
    }

    private func openHolder(_ rule: AgentRules.Rule, _ originator: Originator) {
        open(rule, originator, makeEnd()) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let end): self.route.opened(end)
            case .failure(.away) where !rule.isProtected: self.openApp()
            case .failure: self.close()
            }
        }
    }

    private func openTap(_ rule: AgentRules.Rule, _ originator: Originator) {
        let tap = DatagramRoute()
        taps.append(tap)
        open(rule, originator, DatagramEnd(received: { _ in }, ended: { _ in tap.close() })) { result in
            switch result {
            case .success(let end): tap.opened(end)
            case .failure: tap.close()
            }
        }
    }

    private func open(
        _ rule: AgentRules.Rule, _ originator: Originator, _ end: DatagramEnd,
        completion: @escaping (Result<DatagramEnd, HolderLine.Failure>) -> Void
    ) {
        let bound = NIOLoopBound((end, completion), eventLoop: holders.eventLoop)
        holders.open(rule, from: originator) { [eventLoop = holders.eventLoop] result in
            let (end, completion) = bound.value
            switch result {
            case .failure(let failure): completion(.failure(failure))
            case .success(let descriptor):
                ClientBootstrap(group: eventLoop)
                    .channelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture { try DatagramEnd.frame(channel, bound.value.0) }
                    }
                    .withConnectedSocket(descriptor).assumeIsolated().whenComplete { result in
                        switch result {
                        case .success: completion(.success(end))
                        case .failure: completion(.failure(.away))
                        }
                    }
            }
        }
    }
}
