import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// The daemon's end of the socket to its network helper. While it is open, the network is there; `close` has it undone.
package final class NetworkHelperConnection: Sendable {
    /// Whom to ask for names that are not the cluster's, each time that changes. It ends when the helper is gone, however
    /// that happened, and with it the network.
    package let upstreamChanges: AsyncStream<[NetworkAddress]>

    private typealias Reply = CheckedContinuation<(NetworkMessage, [Int32]), any Error>

    private enum State {
        /// Who waits for an answer, in the order in which the helper gives them.
        case open(CircularBuffer<Reply>)
        case ended
    }

    private let socket: MessageSocket
    private let state = Mutex(State.open([]))
    private let sink: AsyncStream<[NetworkAddress]>.Continuation
    /// Of one thread, which reads.
    private let thread = NIOThreadPool(numberOfThreads: 1)

    private static let ended = HelperError("the network helper ended", kind: .failed)

    init(_ socket: MessageSocket) {
        self.socket = socket
        (upstreamChanges, sink) = AsyncStream.makeStream(
            of: [NetworkAddress].self, bufferingPolicy: .bufferingNewest(1))
        thread.start()
        thread.submit { [self] _ in read() }
    }

    /// Makes the network. Once.
    package func open(_ request: NetworkRequest) async throws -> Network {
        let (message, descriptors) = try await ask(request)
        guard case .opened(let answer) = message, let network = Network(answer, descriptors) else {
            for descriptor in descriptors { Glibc.close(descriptor) }
            throw HelperError("the network helper answered something else", kind: .failed)
        }
        return network
    }

    /// Changes routes and names to what the request says; the addresses stay. If it throws, all is as before.
    package func update(_ request: NetworkRequest) async throws -> (routes: [NetworkPrefix], notes: [String]) {
        let (message, descriptors) = try await ask(request)
        for descriptor in descriptors { Glibc.close(descriptor) }
        guard case .updated(let routes, let notes) = message else {
            throw HelperError("the network helper answered something else", kind: .failed)
        }
        return (routes, notes)
    }

    /// Sockets of a rootless network, not connected and not blocking; the caller's to close.
    package func sockets(_ wanted: NetworkRequest.Sockets, of name: String) async throws -> [Int32] {
        var request = NetworkRequest(name: name)
        request.sockets = wanted
        let (message, descriptors) = try await ask(request)
        guard case .sockets = message else {
            for descriptor in descriptors { Glibc.close(descriptor) }
            throw HelperError("the network helper answered something else", kind: .failed)
        }
        return descriptors
    }

    /// Has everything undone. The descriptors of the network are to be closed as well.
    package func close() {
        // Once it has ended, its number may be somebody else's.
        state.withLock { state in
            guard case .ended = state else { return _ = shutdown(socket.descriptor, Int32(SHUT_RDWR)) }
        }
    }

    private func ask(_ request: NetworkRequest) async throws -> (NetworkMessage, [Int32]) {
        try await withCheckedThrowingContinuation { reply in
            let result = state.withLock { state in
                Result {
                    guard case .open(var replies) = state else { throw Self.ended }
                    try socket.send(request)
                    replies.append(reply)
                    state = .open(replies)
                }
            }
            if case .failure(let error) = result { reply.resume(throwing: error) }
        }
    }

    private func take() -> Reply? {
        state.withLock { state in
            guard case .open(var replies) = state, let reply = replies.popFirst() else { return nil }
            state = .open(replies)
            return reply
        }
    }

    private func read() {
        while let (message, descriptors) = try? socket.receive(NetworkMessage.self) {
            switch message {
            case .upstreamChanged(let servers): sink.yield(servers)
            case .failed(let error): take()?.resume(throwing: error)
            case .opened, .updated, .sockets:
                guard let reply = take() else {
                    for descriptor in descriptors { Glibc.close(descriptor) }
                    continue
                }
                reply.resume(returning: (message, descriptors))
            }
        }
        let replies = state.withLock { state in
            defer {
                state = .ended
                socket.close()
            }
            guard case .open(let replies) = state else { return CircularBuffer<Reply>() }
            return replies
        }
        for reply in replies { reply.resume(throwing: Self.ended) }
        sink.finish()
        thread.shutdownGracefully { _ in }
    }
}

/// What a helper made, and the descriptors, which are the owner's to close.
package struct Network: Sendable {
    package let answer: NetworkAnswer
    /// Not blocking, as all of them.
    package let tunnel: Int32
    package let dnsDatagrams: Int32
    package let dnsListener: Int32
    package let listener4: Int32
    package let listener6: Int32?

    init?(_ answer: NetworkAnswer, _ descriptors: [Int32]) {
        guard descriptors.count == (answer.port6 == nil ? 4 : 5) else { return nil }
        self.answer = answer
        tunnel = descriptors[0]
        dnsDatagrams = descriptors[1]
        dnsListener = descriptors[2]
        listener4 = descriptors[3]
        listener6 = descriptors.count > 4 ? descriptors[4] : nil
    }
}
