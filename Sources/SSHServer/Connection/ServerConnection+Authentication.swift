import Glibc
import Logging
import NIOCore
import Reactors
import SSHProtocol

extension ServerConnection {
    func authenticate(_ payload: ByteBuffer) throws(Disconnect) {
        guard var machine = authentication.take() else { throw .violation("message before its time") }
        let keys = core.configuration.authorizedKeys.current
        let source = SourceAddress(source)
        let now = Int64(time(nil))
        if payload.getInteger(at: payload.readerIndex, as: UInt8.self) == MessageNumber.userauthRequest {
            wasAuthenticationTried = true
        }
        let effects = try machine.receive(payload) { key, user, check in
            keys.authorize(key: key, user: user, source: source, now: now, check: check)
        }
        authentication = consume machine
        try perform(effects, at: now)
    }

    private func perform(_ effects: [ServerAuthenticationMachine.Effect], at now: Int64) throws(Disconnect) {
        for effect in effects {
            switch effect {
            case .send(let payload): transport.send(payload)
            case .failedAttempt(let reason):
                core.counters.authenticationFailed("publickey")
                logger.info("authentication failed", metadata: ["reason": "\(reason)"])
            case .succeeded(let authentication):
                try logIn(authentication, at: now)
            case .checkToken(let token):
                check(token)
            }
        }
    }

    private func check(_ token: String) {
        let decision = core.delegate.authenticate(token: token, on: reactor)
        decision.assumeIsolated().whenComplete { [weak self] result in
            guard let self, phase == .authentication, var machine = authentication.take() else { return }
            do throws(Disconnect) {
                let decision = (try? result.get()) ?? .refused("the token cannot be checked")
                let effects = try machine.tokenChecked(decision)
                authentication = consume machine
                try perform(effects, at: Int64(time(nil)))
            } catch {
                fail(error)
            }
            flush()
        }
    }

    private func logIn(_ authentication: ServerAuthentication, at now: Int64) throws(Disconnect) {
        let permissions = authentication.permissions
        guard core.counters.sessionsActive.value < UInt64(core.configuration.limits.sessions) else {
            core.counters.connectionRefused("max-sessions")
            throw Disconnect(
                .tooManyConnections, "the traffic manager has \(core.configuration.limits.sessions) sessions")
        }
        let identity = SessionIdentity(
            id: core.makeSessionID(), user: authentication.user, keyFingerprint: authentication.keyFingerprint,
            keyComment: authentication.comment,
            clientVersion: String(transport.peerVersion.dropFirst("SSH-2.0-".count)), sourceAddress: source,
            connectedAt: now, permissions: permissions)
        if let expires = permissions.expires {
            // What the key permits ends when the key does, also for a tunnel that is up. The second it names belongs to
            // it still, as for a login.
            let remaining = max(0, min(expires - now, Int64(Int32.max))) + 1
            expiry = .now() + .seconds(remaining)
        }
        self.identity = identity
        self.permissions = permissions
        self.authentication = nil
        logger[metadataKey: "session"] = "\(identity.id)"
        core.addSession(self, id: identity.id)
        beginSession()
        logger.info(
            "session began",
            metadata: [
                "user": "\(identity.user)", "key": "\(identity.keyFingerprint)", "comment": "\(identity.keyComment)",
                "client": "\(identity.clientVersion)", "cipher": "\(transport.cipherName)",
                "kex": "\(transport.keyExchangeName)",
            ])
        announceHostKeys()
    }

    /// Tells the client all host keys, once, so that it can learn new ones (draft-miller-sshm-hostkey-update).
    private func announceHostKeys() {
        var keys = ByteBuffer()
        for key in core.configuration.hostKeys { keys.writeSSHString(key.publicKey.blob) }
        connection.sendGlobalRequest("hostkeys-00@openssh.com", wantsReply: false, keys)
    }

    /// The proofs that the client asks for: signatures over the session by each key.
    func proveHostKeys(_ blobs: [[UInt8]]) -> ByteBuffer? {
        var proofs = ByteBuffer()
        for blob in blobs {
            guard let key = core.configuration.hostKeys.first(where: { $0.publicKey.blob == blob }),
                let algorithm = key.signatureAlgorithms.first, provedHostKeys.insert(blob).inserted
            else { return nil }
            var claim = ByteBuffer()
            claim.writeSSHString("hostkeys-prove-00@openssh.com")
            claim.writeSSHString(transport.sessionID)
            claim.writeSSHString(blob)
            guard let signature = try? key.sign(claim, algorithm: algorithm) else { return nil }
            proofs.writeSSHString(signature)
        }
        return proofs
    }
}
