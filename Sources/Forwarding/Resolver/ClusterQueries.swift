import DNS
import Logging
import NIOCore
import SSHClient
import SSHProtocol

/// The channel to the cluster's DNS. Confined to the pool's event loop.
///
/// States: idle → opening → open → waiting → idle, or closed. It is opened when there is something to ask; what was asked
/// meanwhile is asked again by whoever hears that it is up.
final class ClusterQueries {
    private enum State {
        case idle
        case opening
        case open(any Channel)
        /// The last attempt failed, or the channel ended.
        case waiting
        case closed
    }

    /// The manager's DNS.
    static let service = ChannelTarget.tcp(host: "dns.telepresence", port: 53)

    private let pool: SSHClientPool
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let post: (ResolverAnswer) -> Void
    private var state = State.idle
    private var isWanted = false
    private var backoff = Backoff()
    private var retry: Scheduled<Void>?
    private var framing = DNSStreamFraming()
    private var output = ByteBuffer()

    init(pool: SSHClientPool, logger: Logger, post: @escaping (ResolverAnswer) -> Void) {
        self.pool = pool
        eventLoop = pool.eventLoop
        self.logger = logger
        self.post = post
    }

    func ask(_ message: ByteBuffer) {
        switch state {
        case .open:
            // A message that fits no frame is none.
            try? DNSStreamFraming.write(message, to: &output)
        case .idle:
            connect()
        case .waiting:
            isWanted = true
        case .opening, .closed:
            break
        }
    }

    /// What was asked since the last time goes to the channel.
    func flush() {
        guard case .open(let channel) = state, output.readableBytes > 0 else { return }
        channel.writeAndFlush(output, promise: nil)
        output = ByteBuffer()
    }

    private func connect() {
        state = .opening
        isWanted = false
        SocketPair.make(on: eventLoop).assumeIsolated().whenComplete { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error): self.failed("\(error)")
            case .success((let near, let far)): self.open(near, far)
            }
        }
    }

    private func open(_ near: any Channel, _ far: any Channel) {
        guard case .opening = state else {
            near.close(promise: nil)
            return far.close(promise: nil)
        }
        do {
            try near.pipeline.syncOperations.addHandler(StreamAnswerHandler(self))
        } catch {
            return failed("\(error)")
        }
        pool.open(Self.service, originator: Originator(host: "127.0.0.1", port: 0), glueTo: far) { [weak self] result in
            switch result {
            case .failure(let error):
                near.close(promise: nil)
                far.close(promise: nil)
                self?.failed(error.text)
            case .success:
                guard let self, case .opening = self.state else { return near.close(promise: nil) }
                self.state = .open(near)
                try? near.syncOptions?.setOption(.autoRead, value: true)
                self.post(.clusterIsUp(true))
            }
        }
    }

    private func failed(_ reason: String) {
        guard case .opening = state else { return }
        logger.debug("no way to the cluster's DNS", metadata: ["reason": "\(reason)"])
        // Somebody wants an answer.
        isWanted = true
        pause()
    }

    private func pause() {
        state = .waiting
        output = ByteBuffer()
        framing = DNSStreamFraming()
        retry = eventLoop.assumeIsolated().scheduleTask(in: backoff.next(jitter: .random(in: 0..<1))) { [weak self] in
            guard let self, case .waiting = self.state else { return }
            self.state = .idle
            if self.isWanted { self.connect() }
        }
    }

    // MARK: For the handler

    func received(_ bytes: ByteBuffer) {
        framing.append(bytes)
        do throws(DNSError) {
            while let message = try framing.next() { post(.cluster(message)) }
            backoff.reset()
        } catch {
            logger.warning("the cluster's DNS broke the protocol", metadata: ["reason": "\(error)"])
            if case .open(let channel) = state { channel.close(promise: nil) }
        }
    }

    func ended(_ channel: any Channel) {
        guard case .open(let current) = state, current === channel else { return }
        post(.clusterIsUp(false))
        pause()
    }

    func shutDown() {
        if case .open(let channel) = state { channel.close(promise: nil) }
        state = .closed
        retry?.cancel()
    }
}
