import Logging
import NIOCore
import NIOPosix
import SSHProtocol

/// Remote forwards and the other global requests (RFC 4254 §4, §7.1).
extension SSHConnectionHandler {
    func handle(_ request: GlobalRequest, wantsReply: Bool) {
        let ticket = wantsReply ? connection.newestGlobalRequest : nil
        switch request {
        case .tcpipForward(let address, let port):
            listen(address: address, port: port, ticket: ticket)
        case .streamLocalForward(let path):
            listen(path: path, ticket: ticket)
        case .cancelTCPIPForward(let address, let port):
            let isDial = address == DialFrame.bindAddress && UInt32(port) == DialFrame.bindPort
            answer(ticket, cancel(isDial ? .dial : .tcp(address: address, port: port)))
        case .cancelStreamLocalForward(let path):
            answer(ticket, cancel(.streamLocal(path: path)))
        case .hostKeysProve(let keys):
            let proofs = proveHostKeys(keys)
            answer(ticket, proofs != nil, proofs ?? ByteBuffer())
        case .noMoreSessions:
            answer(ticket, true)
        case .hostKeys, .unknown:
            // `keepalive@openssh.com` among them: failure is as good a sign of life as success.
            answer(ticket, false)
        }
    }

    private func answer(_ ticket: Int?, _ succeeded: Bool, _ content: ByteBuffer = ByteBuffer()) {
        guard let ticket else { return }
        connection.answerGlobalRequest(ticket, succeeded: succeeded, content)
        scheduleFlush()
    }

    /// Refuses a forward. The protocol has no text for it, so it goes where `ssh -v` shows it.
    private func refuse(_ ticket: Int?, _ name: String, _ failure: OpenFailure) {
        core.counters.listenersRefused.add(1)
        logger.info("forward refused", metadata: ["listen": "\(name.debugDescription)", "reason": "\(failure.text)"])
        prepareOutput()
        transport.sendDebug("remote forward of \(name.debugDescription) refused: \(failure.text)")
        answer(ticket, false)
    }

    private func listen(address: String, port: UInt16, ticket: Int?) {
        guard let identity, let permissions else { return }
        let name = RemoteForward(place: .tcp(address: address, port: port), channels: []).name
        if address == DialFrame.bindAddress, UInt32(port) == DialFrame.bindPort {
            guard !forwards.contains(where: { $0.place == .dial }) else { return answer(ticket, false) }
            add(RemoteForward(place: .dial, channels: []))
            return answer(ticket, true)
        }
        if let failure = permissions.permitsListen(host: address, port: port) { return refuse(ticket, name, failure) }
        // With port 0 the answer is the only way to learn the port.
        guard port != 0 || ticket != nil else { return }
        switch core.delegate.listener(bindAddress: address, port: port, for: identity) {
        case .failure(let failure): refuse(ticket, name, failure)
        case .success(let place):
            listen(at: place, named: name, ticket: ticket) { bound in
                let actual = UInt16(bound.first?.localAddress?.port ?? Int(port))
                var content = ByteBuffer()
                if port == 0 { content.writeInteger(UInt32(actual)) }
                return (.tcp(address: address, port: actual), content)
            }
        }
    }

    private func listen(path: String, ticket: Int?) {
        guard let identity, let permissions else { return }
        if let failure = permissions.permitsStreamLocal() { return refuse(ticket, path, failure) }
        switch core.delegate.listener(socketPath: path, for: identity) {
        case .failure(let failure): refuse(ticket, path, failure)
        case .success(let place):
            listen(at: place, named: path, ticket: ticket) { _ in (.streamLocal(path: path), ByteBuffer()) }
        }
    }

    private func listen(
        at place: ListenerPlace, named name: String, ticket: Int?,
        describe: @escaping ([any Channel]) -> (RemoteForward.Place, ByteBuffer)
    ) {
        guard let context else { return }
        guard forwards.count + pendingForwards < core.configuration.limits.listenersPerSession else {
            return refuse(ticket, name, OpenFailure(.resourceShortage, "too many remote forwards"))
        }
        pendingForwards += 1
        let eventLoop = context.eventLoop
        /// Names the forward to the sockets that accept for it, which are made before it.
        let box = NIOLoopBoundBox<RemoteForward?>(nil, eventLoop: eventLoop)
        let connection = NIOLoopBound(self, eventLoop: eventLoop)
        RemoteForward.bind(place.addresses, on: eventLoop) { channel in
            connection.value.accept(channel, for: box.value)
        }.assumeIsolated().whenComplete { result in
            self.pendingForwards -= 1
            switch result {
            case .failure(let error):
                self.refuse(ticket, name, OpenFailure(.connectFailed, SystemErrorText.text(of: error)))
            case .success(let channels):
                let (place, content) = describe(channels)
                let forward = RemoteForward(place: place, channels: channels)
                guard self.phase == .open else { return forward.close() }
                box.value = forward
                self.add(forward)
                self.answer(ticket, true, content)
                eventLoop.scheduleTask(in: RemoteForward.acceptDelay) { forward.start() }
            }
        }
    }

    private func add(_ forward: RemoteForward) {
        forwards.append(forward)
        core.counters.listenersActive.add(1)
        logger.debug("forward added", metadata: ["listen": "\(forward.name)"])
    }

    private func cancel(_ place: RemoteForward.Place) -> Bool {
        guard let index = forwards.firstIndex(where: { $0.place == place }) else { return false }
        forwards.remove(at: index).close()
        core.counters.listenersActive.subtract(1)
        return true
    }

    /// A connection to a remote forward: the client is asked for a channel.
    private func accept(_ channel: any Channel, for forward: RemoteForward?) -> EventLoopFuture<Void> {
        guard phase == .open, let forward, hasRoomForChannel else {
            return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        var content = ByteBuffer()
        let type: String
        switch forward.place {
        case .tcp(let address, let port):
            type = "forwarded-tcpip"
            content.writeSSHString(address)
            content.writeInteger(UInt32(port))
            content.writeSSHString(channel.remoteAddress?.ipAddress ?? "")
            content.writeInteger(UInt32(channel.remoteAddress?.port ?? 0))
            try? channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
        case .streamLocal(let path):
            type = "forwarded-streamlocal@openssh.com"
            content.writeSSHString(path)
            content.writeSSHString("")
        case .dial: return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        let relay = Relay(connection: self, id: nil)
        return channel.eventLoop.makeCompletedFuture {
            try Relay.attach(relay, to: channel)
            openChannel(type, content, for: relay)
        }
    }
}
