import Glibc
import Logging
import NIOCore
import Reactors
import SSHProtocol

/// Remote forwards and the other global requests (RFC 4254 §4, §7.1).
extension ServerConnection {
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
        let name = RemoteForward(place: .tcp(address: address, port: port), sockets: []).name
        if address == DialFrame.bindAddress, UInt32(port) == DialFrame.bindPort {
            guard !forwards.contains(where: { $0.place == .dial }) else { return answer(ticket, false) }
            add(RemoteForward(place: .dial, sockets: []))
            return answer(ticket, true)
        }
        if let failure = permissions.permitsListen(host: address, port: port) { return refuse(ticket, name, failure) }
        // With port 0 the answer is the only way to learn the port.
        guard port != 0 || ticket != nil else { return }
        switch core.delegate.listener(bindAddress: address, port: port, for: identity) {
        case .failure(let failure): refuse(ticket, name, failure)
        case .success(let place) where !place.hasSockets:
            add(RemoteForward(place: .tcp(address: address, port: port), sockets: [], hasSockets: false))
            answer(ticket, true)
        case .success(let place):
            listen(at: place, named: name, ticket: ticket) { sockets in
                let actual = UInt16(sockets.first?.address.port ?? Int(port))
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
        describe: ([ListeningSocket]) -> (RemoteForward.Place, ByteBuffer)
    ) {
        guard forwards.count < core.configuration.limits.listenersPerSession else {
            return refuse(ticket, name, OpenFailure(.resourceShortage, "too many remote forwards"))
        }
        /// Names the forward to the sockets that accept for it, which are made before it.
        let forward = ForwardReference()
        let sockets: [ListeningSocket]
        do {
            sockets = try RemoteForward.bind(place.addresses, on: reactor) { [weak self] descriptor, host, port in
                guard let self else {
                    Glibc.close(descriptor)
                    return
                }
                self.accept(descriptor, from: host, port, for: forward.value)
            }
        } catch {
            return refuse(ticket, name, OpenFailure(.connectFailed, SystemErrorText.text(of: error)))
        }
        let (place, content) = describe(sockets)
        let added = RemoteForward(place: place, sockets: sockets)
        forward.value = added
        add(added)
        answer(ticket, true, content)
        reactor.scheduleTask(in: RemoteForward.acceptDelay) { added.start() }
    }

    private final class ForwardReference {
        weak var value: RemoteForward?
    }

    private func add(_ forward: RemoteForward) {
        forwards.append(forward)
        core.counters.listenersActive.add(1)
        logger.debug("forward added", metadata: ["listen": "\(forward.name)"])
    }

    func close(_ forward: RemoteForward, isWithdrawn: Bool) {
        forward.close()
        guard !forward.hasSockets, case .tcp(let address, let port) = forward.place, let identity else { return }
        core.delegate.forwardEnded(bindAddress: address, port: port, for: identity, isWithdrawn: isWithdrawn)
    }

    private func cancel(_ place: RemoteForward.Place) -> Bool {
        guard let index = forwards.firstIndex(where: { $0.place == place }) else { return false }
        close(forwards.remove(at: index), isWithdrawn: true)
        core.counters.listenersActive.subtract(1)
        return true
    }

    /// A connection to a remote forward: the client is asked for a channel.
    private func accept(_ descriptor: CInt, from host: String, _ port: UInt16, for forward: RemoteForward?) {
        guard phase == .open, let forward, hasRoomForChannel else {
            Glibc.close(descriptor)
            return
        }
        var content = ByteBuffer()
        let type: String
        var isUnix = false
        switch forward.place {
        case .tcp(let address, let bound):
            type = "forwarded-tcpip"
            content.writeSSHString(address)
            content.writeInteger(UInt32(bound))
            content.writeSSHString(host)
            content.writeInteger(UInt32(port))
        case .streamLocal(let path):
            type = "forwarded-streamlocal@openssh.com"
            isUnix = true
            content.writeSSHString(path)
            content.writeSSHString("")
        case .dial:
            Glibc.close(descriptor)
            return
        }
        guard case .success(let joint) = Relay.attach(descriptor, isUnix: isUnix, to: self, id: nil) else { return }
        openChannel(type, content, for: joint)
    }
}
