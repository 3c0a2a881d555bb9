import ControlAPI
import NIOCore
import SFTP
import SSHProtocol
import SSHServer

/// One client's SFTP connection: its router, and a channel to the agent of each workload that it looks at. Confined to the
/// client's event loop.
///
/// Backpressure: the client is read while every agent takes what it is sent, and an agent while the client does.
final class FileSession: @unchecked Sendable {
    /// How long an agent may leave what it was asked without any answer: longer than a disk takes, and shorter than people
    /// wait for an `ls`.
    private static let patience = TimeAmount.seconds(10)

    private let session: SessionIdentity
    private let intercepts: InterceptService
    private let client: any Channel
    private var router = SFTPRouter()
    private var agents: [UInt8: any Channel] = [:]
    private var held: Set<UInt8> = []
    private var isClientHeld = false
    private var isClosed = false
    private var lastAnswer: [UInt8: NIODeadline] = [:]
    private var watch: Scheduled<Void>?

    private init(client: any Channel, session: SessionIdentity, intercepts: InterceptService) {
        self.client = client
        self.session = session
        self.intercepts = intercepts
    }

    /// Serves a channel from now on.
    static func serve(
        _ channel: any Channel, session: SessionIdentity, intercepts: InterceptService
    ) -> EventLoopFuture<Void> {
        channel.eventLoop.submit {
            let files = FileSession(client: channel, session: session, intercepts: intercepts)
            try channel.syncOptions?.setOption(.autoRead, value: false)
            try channel.pipeline.syncOperations.addHandler(ClientHandler(files))
            files.lookLater()
            channel.read()
        }
    }

    private var eventLoop: any EventLoop { client.eventLoop }

    // MARK: Effects

    private func run(_ effects: [SFTPRouter.Effect]) {
        for effect in effects {
            switch effect {
            case .toClient(let bytes): client.write(bytes, promise: nil)
            case .toServer(let number, let bytes):
                if lastAnswer[number] == nil { lastAnswer[number] = .now() }
                agents[number]?.writeAndFlush(bytes, promise: nil)
            case .open(let number, let workload): open(number, workload)
            case .listWorkloads: run(router.workloads(names))
            case .end: client.close(promise: nil)
            }
        }
        client.flush()
    }

    /// Of the session's namespace, those whose files can be had.
    private var names: [String] {
        intercepts.workloads.filter { $0.namespace == intercepts.namespace && $0.agents > 0 }.map(\.name)
    }

    private func open(_ number: UInt8, _ workload: String) {
        let place: InterceptService.Place
        switch intercepts.place(of: WorkloadName(workload), for: session) {
        case .failure(let failure): return run(router.ended(number, failure.text))
        case .success(let found): place = found
        }
        intercepts.streams.open(
            .files, of: place.container.name, root: "/\(workload)", handle: number, by: place.agent, on: eventLoop
        ).whenComplete { [self] result in
            switch result {
            case .failure(let error): run(router.ended(number, "\(error)"))
            case .success(let channel):
                guard !isClosed else { return channel.close(promise: nil) }
                adopt(channel, number)
            }
        }
    }

    private func adopt(_ channel: any Channel, _ number: UInt8) {
        channel.eventLoop.submit { [self] in
            try channel.syncOptions?.setOption(.autoRead, value: false)
            try channel.pipeline.syncOperations.addHandler(AgentHandler(self, number))
        }.hop(to: eventLoop).whenComplete { [self] result in
            if case .failure(let error) = result {
                channel.close(promise: nil)
                return run(router.ended(number, "\(error)"))
            }
            agents[number] = channel
            run(router.opened(number))
            channel.read()
            readClient()
        }
    }

    // MARK: Flow

    private func readClient() {
        guard !isClosed, isClientHeld, router.wantsMore, agents.values.allSatisfy(\.isWritable) else { return }
        isClientHeld = false
        client.read()
    }

    private func received(_ bytes: ByteBuffer) { run(router.received(bytes)) }

    private func readCompleted() {
        isClientHeld = true
        readClient()
    }

    private func received(_ bytes: ByteBuffer, from number: UInt8) {
        lastAnswer[number] = .now()
        run(router.received(bytes, from: number))
        if client.isWritable { agents[number]?.read() } else { held.insert(number) }
        readClient()
    }

    private func clientTakesMore() {
        guard client.isWritable else { return }
        for number in held { agents[number]?.read() }
        held = []
    }

    private func agentEnded(_ number: UInt8) {
        guard agents.removeValue(forKey: number) != nil else { return }
        lastAnswer[number] = nil
        held.remove(number)
        run(router.ended(number, "the traffic-agent is gone"))
        readClient()
    }

    private func lookLater() {
        watch = eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { [weak self] in
            self?.look()
            self?.lookLater()
        }
    }

    /// Gives those up that do not answer.
    private func look() {
        guard !isClosed else { return }
        let waiting = Set(router.waitingServers)
        for number in agents.keys where !waiting.contains(number) { lastAnswer[number] = nil }
        for number in waiting {
            guard let channel = agents[number], let last = lastAnswer[number] else { continue }
            guard last + Self.patience < .now() else { continue }
            agents[number] = nil
            lastAnswer[number] = nil
            channel.close(promise: nil)
            run(router.ended(number, "the traffic-agent does not answer"))
        }
    }

    private func closed() {
        isClosed = true
        watch?.cancel()
        for channel in agents.values { channel.close(promise: nil) }
        agents = [:]
    }

    private final class ClientHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let files: FileSession

        init(_ files: FileSession) { self.files = files }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { files.received(unwrapInboundIn(data)) }
        func channelReadComplete(context: ChannelHandlerContext) { files.readCompleted() }
        func channelWritabilityChanged(context: ChannelHandlerContext) { files.clientTakesMore() }
        func channelInactive(context: ChannelHandlerContext) { files.closed() }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    /// On the agent's loop: hands over to the client's.
    private final class AgentHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let files: FileSession
        private let number: UInt8

        init(_ files: FileSession, _ number: UInt8) {
            self.files = files
            self.number = number
        }

        private func hand(_ work: @escaping @Sendable (FileSession, UInt8) -> Void) {
            let (files, number) = (files, number)
            files.eventLoop.execute { work(files, number) }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            hand { $0.received(bytes, from: $1) }
        }

        func channelWritabilityChanged(context: ChannelHandlerContext) {
            if context.channel.isWritable { hand { files, _ in files.readClient() } }
        }

        func channelInactive(context: ChannelHandlerContext) { hand { $0.agentEnded($1) } }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
