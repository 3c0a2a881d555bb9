import ControlAPI
import NIOCore
import SSHClient

/// Looks at each layer of the way to the manager, and remembers what it saw. Confined to the pool's event loop.
final class SessionProber {
    struct Finding {
        var at: NIODeadline
        var roundTrip: TimeAmount?
        /// `nil`: healthy.
        var problem: String?
    }

    /// Whether the manager answered, whatever it said; the problem when it did not.
    typealias Answered = (SSHClientError?) -> Void

    private let pool: SSHClientPool
    private(set) var findings: [DaemonProbe.Layer: Finding] = [:]
    /// Those who wait for a look at everything that has begun.
    private var waiting: [() -> Void] = []

    init(pool: SSHClientPool) { self.pool = pool }

    func note(_ layer: DaemonProbe.Layer, roundTrip: TimeAmount? = nil, problem: String? = nil) {
        findings[layer] = Finding(at: .now(), roundTrip: roundTrip, problem: problem)
    }

    /// There is no connection to look through.
    func noteDisconnected(_ reason: String) {
        note(.transport, problem: reason)
        for layer in [DaemonProbe.Layer.ssh, .api, .dns] { note(layer, problem: "no connection") }
    }

    func probes(at now: NIODeadline) -> [DaemonProbe] {
        DaemonProbe.Layer.allCases.compactMap { layer in
            findings[layer].map { finding in
                DaemonProbe(
                    layer: layer, isHealthy: finding.problem == nil,
                    ageMilliseconds: (now - finding.at).nanoseconds / 1_000_000,
                    roundTripMicroseconds: finding.roundTrip.map { $0.nanoseconds / 1000 }, error: finding.problem)
            }
        }
    }

    /// Looks at everything at once; what is not answered within `deadline` is a problem. Several who ask share a look.
    func lookAtAll(domain: String, deadline: TimeAmount, completion: @escaping () -> Void) {
        waiting.append(completion)
        guard waiting.count == 1 else { return }
        var left = 3
        let done = { [weak self] in
            left -= 1
            guard left == 0, let self else { return }
            let waiting = self.waiting
            self.waiting = []
            for completion in waiting { completion() }
        }
        lookAtPath(completion: done)
        lookAtAPI(deadline: deadline, answered: { _ in }, completion: done)
        lookAtDNS(domain: domain, deadline: deadline, completion: done)
    }

    private func lookAtPath(completion: @escaping () -> Void) {
        pool.path { [weak self] path in
            if let path {
                self?.note(
                    .transport, roundTrip: path.roundTrip,
                    problem: path.isEstablished ? nil : "the connection is being closed")
            } else {
                self?.note(.transport, problem: "no connection")
            }
            completion()
        }
    }

    /// Opens a channel to the API and asks for its version there: SSH and the API.
    func lookAtAPI(deadline: TimeAmount, answered: @escaping Answered, completion: @escaping () -> Void = {}) {
        let look = Look(on: pool.eventLoop, deadline: deadline)
        var isOpen = false
        look.start { [weak self] in
            let problem = "no answer within \(deadline.seconds) s"
            if !isOpen {
                self?.note(.ssh, problem: problem)
                answered(SSHClientError(.timedOut, problem))
            }
            self?.note(.api, problem: problem)
            completion()
        }
        ManagerStream.open(ManagerStream.api, through: pool) { [weak self] result in
            guard let self, !look.isOver else { return (try? result.get())?.close() ?? () }
            switch result {
            case .failure(let error):
                guard look.finish() else { return }
                if error.refusal != nil {
                    // A refusal is an answer.
                    self.note(.ssh, roundTrip: look.elapsed)
                    self.note(.api, problem: error.text)
                    answered(nil)
                } else {
                    self.note(.ssh, problem: error.text)
                    self.note(.api, problem: error.text)
                    answered(error)
                }
                completion()
            case .success(let stream):
                isOpen = true
                self.note(.ssh, roundTrip: look.elapsed)
                answered(nil)
                look.stream = stream
                HTTPExchange.run(.get, "/v1/version", host: "api.telepresence:8081", on: stream.channel) {
                    [weak self] result in
                    guard look.finish() else { return }
                    self?.note(.api, roundTrip: look.elapsed, problem: Self.problem(result))
                    completion()
                }
            }
        }
    }

    private static func problem(_ result: Result<HTTPExchange.Answer, any Error>) -> String? {
        switch result {
        case .failure(let error): return "\(error)"
        case .success(let answer):
            guard answer.status == 200 else { return "answered \(answer.status)" }
            guard let version = try? JSON.decode(VersionInfo.self, from: answer.body) else { return "not a manager's" }
            guard version.apiVersion <= VersionInfo.currentAPIVersion else {
                return
                    "the manager speaks API v\(version.apiVersion), newer than v\(VersionInfo.currentAPIVersion) here"
            }
            return nil
        }
    }

    private func lookAtDNS(domain: String, deadline: TimeAmount, completion: @escaping () -> Void) {
        let look = Look(on: pool.eventLoop, deadline: deadline)
        look.start { [weak self] in
            self?.note(.dns, problem: "no answer within \(deadline.seconds) s")
            completion()
        }
        ManagerStream.open(ManagerStream.dns, through: pool) { [weak self] result in
            guard let self, !look.isOver else { return (try? result.get())?.close() ?? () }
            do {
                let stream = try result.get()
                look.stream = stream
                let handler = DNSProbeHandler { [weak self] problem in
                    guard look.finish() else { return }
                    self?.note(.dns, roundTrip: problem == nil ? look.elapsed : nil, problem: problem)
                    completion()
                }
                try stream.channel.pipeline.syncOperations.addHandler(handler)
                stream.channel.writeAndFlush(try handler.question(domain: domain), promise: nil)
                try stream.channel.syncOptions?.setOption(.autoRead, value: true)
            } catch {
                guard look.finish() else { return }
                self.note(.dns, problem: "\(error)")
                completion()
            }
        }
    }

    /// One look, which ends once: with an answer, or by its deadline.
    private final class Look {
        private let eventLoop: any EventLoop
        private let deadline: TimeAmount
        private let began = NIODeadline.now()
        private var timer: Scheduled<Void>?
        private(set) var isOver = false
        var stream: ManagerStream?

        init(on eventLoop: any EventLoop, deadline: TimeAmount) {
            self.eventLoop = eventLoop
            self.deadline = deadline
        }

        var elapsed: TimeAmount { NIODeadline.now() - began }

        func start(onDeadline: @escaping () -> Void) {
            timer = eventLoop.assumeIsolated().scheduleTask(in: deadline) {
                if self.finish() { onDeadline() }
            }
        }

        /// Whether it was not over before.
        func finish() -> Bool {
            guard !isOver else { return false }
            isOver = true
            timer?.cancel()
            stream?.close()
            stream = nil
            return true
        }
    }
}

extension TimeAmount {
    /// Whole ones.
    var seconds: Int64 { nanoseconds / 1_000_000_000 }
}
