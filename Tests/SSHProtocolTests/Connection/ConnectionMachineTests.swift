import NIOCore
import Testing

@testable import SSHProtocol

/// Channels between two machines that keep the rules.
struct ConnectionMachineTests {
    @Test("a channel from its opening to its end")
    func life() throws {
        let pair = ConnectionPair()
        let ids = try #require(pair.openChannel())
        for message in pair.client.send(Array("ping".utf8), on: ids.client) { pair.server.receive(message) }
        guard case .data(let id, let data)? = pair.server.takeEffects().last else { Issue.record("no data"); return }
        #expect(id == ids.server && String(buffer: data) == "ping")
        pair.client.machine.sendEOF(ids.client)
        pair.settle()
        guard case .eof(ids.server)? = pair.server.takeEffects().last else { Issue.record("no EOF"); return }
        // The other way is open still.
        for message in pair.server.send(Array("pong".utf8), on: ids.server) { pair.client.receive(message) }
        guard case .data(ids.client, _)? = pair.client.takeEffects().last else { Issue.record("no data"); return }
        pair.server.machine.sendEOF(ids.server)
        pair.server.machine.close(ids.server)
        pair.settle()
        let last = pair.client.takeEffects()
        guard case .eof(ids.client)? = last.first, case .closed(ids.client)? = last.last else {
            Issue.record("not closed")
            return
        }
        guard case .closed(ids.server)? = pair.server.takeEffects().last else { Issue.record("not closed"); return }
        #expect(pair.client.machine.channelCount == 0 && pair.server.machine.channelCount == 0)
    }

    @Test("both sides close at once: one CLOSE each way")
    func simultaneousClose() throws {
        let pair = ConnectionPair()
        let ids = try #require(pair.openChannel())
        pair.client.machine.close(ids.client)
        pair.server.machine.close(ids.server)
        let toServer = pair.client.takeMessages()
        let toClient = pair.server.takeMessages()
        #expect(toServer.map(\.number) == [97] && toClient.map(\.number) == [97])
        for message in toServer { pair.server.receive(message) }
        for message in toClient { pair.client.receive(message) }
        #expect(pair.client.takeMessages().isEmpty && pair.server.takeMessages().isEmpty)
        #expect(pair.client.machine.channelCount == 0 && pair.server.machine.channelCount == 0)
    }

    @Test("closing twice says so once; nothing follows CLOSE")
    func closeTwice() throws {
        let pair = ConnectionPair()
        let ids = try #require(pair.openChannel())
        pair.server.machine.close(ids.server)
        pair.server.machine.close(ids.server)
        pair.server.machine.sendEOF(ids.server)
        pair.server.machine.sendChannelRequest(ids.server, "exit-status", wantsReply: false)
        pair.server.machine.consume(ids.server, 2 << 20)
        #expect(pair.server.machine.grant(ids.server, wanted: 1) == nil)
        #expect(pair.server.takeMessages().map(\.number) == [97])
    }

    @Test("what is in flight when we close is let through to nowhere")
    func inFlight() throws {
        let pair = ConnectionPair()
        let ids = try #require(pair.openChannel())
        pair.server.machine.close(ids.server)
        let number = ids.server.number
        for message in [
            Message.data(number, [1, 2, 3]), Message.extendedData(number, [1]), Message.windowAdjust(number, 1),
            Message.channelRequest(number, "env"), Message.eof(number),
        ] {
            guard case .none? = pair.server.receive(message) else { Issue.record("\(message) had an effect"); return }
        }
        // Its number is taken as long as the peer may mean it.
        #expect(pair.server.machine.channelCount == 1)
        guard case .closed(ids.server)? = pair.server.receive(Message.close(number)) else {
            Issue.record("not closed")
            return
        }
        #expect(pair.server.machine.channelCount == 0)
        #expect(pair.server.takeMessages().map(\.number) == [97])
    }

    @Test("a number is used again only after CLOSE both ways, and is not mistaken for the channel before")
    func reuse() throws {
        let pair = ConnectionPair()
        let first = try #require(pair.openChannel())
        pair.server.machine.close(first.server)
        let second = try #require(pair.server.open("x"))
        #expect(second.number != first.server.number)
        pair.server.receive(Message.close(first.server.number))
        let third = try #require(pair.server.open("x"))
        #expect(third.number == first.server.number && third != first.server)
        _ = pair.server.takeMessages()
        // The old name does nothing to the new channel.
        pair.server.machine.close(first.server)
        pair.server.machine.sendEOF(first.server)
        pair.server.machine.consume(first.server, 1 << 30)
        pair.server.machine.resizeWindow(first.server, to: 1 << 30)
        pair.server.machine.refuse(first.server, OpenFailure(.connectFailed, ""))
        #expect(pair.server.takeMessages().isEmpty)
        #expect(pair.server.machine.windowSize(first.server) == 0)
        let ended = (pair.server.machine.hasSentEOF(first.server), pair.server.machine.hasReceivedEOF(first.server))
        #expect(ended == (true, true))
        #expect(pair.server.machine.sendWindow(first.server) == 0)
    }

    @Test("10,000 channels one after another take one place")
    func manyChannels() throws {
        let pair = ConnectionPair()
        for _ in 0..<10_000 {
            let ids = try #require(pair.openChannel())
            #expect(ids.client.number == 0 && ids.server.number == 0)
            pair.client.machine.close(ids.client)
            pair.settle()
            _ = pair.client.takeEffects()
            _ = pair.server.takeEffects()
        }
        #expect(pair.client.machine.channelCount == 0 && pair.server.machine.channelCount == 0)
    }

    @Test("refused: the reason arrives, and the number is free")
    func refusal() throws {
        let pair = ConnectionPair()
        let ours = try #require(pair.client.open("session"))
        for message in pair.client.takeMessages() { pair.server.receive(message) }
        guard case .open(let theirs, .session)? = pair.server.effects.last else { Issue.record("no open"); return }
        pair.server.machine.refuse(theirs, OpenFailure(.connectFailed, "Connection refused"))
        pair.server.machine.refuse(theirs, OpenFailure(.connectFailed, "twice"))
        pair.server.machine.confirm(theirs)
        pair.settle()
        guard case .openFailed(ours, let failure)? = pair.client.effects.last else {
            Issue.record("no failure"); return
        }
        #expect(failure == OpenFailure(.connectFailed, "Connection refused"))
        #expect(pair.client.effects.count == 1)
        #expect(pair.client.machine.channelCount == 0 && pair.server.machine.channelCount == 0)
    }

    @Test("the limit on channels, and that it ends with them")
    func channelLimit() throws {
        var limits = ConnectionLimits()
        limits.channels = 3
        let pair = ConnectionPair(server: limits)
        let ids = try (0..<3).map { _ in try #require(pair.openChannel()) }
        let fourth = try #require(pair.client.open("session"))
        pair.settle()
        guard case .openFailed(fourth, let failure)? = pair.client.takeEffects().last else {
            Issue.record("opened"); return
        }
        #expect(failure.reason == .resourceShortage)
        #expect(pair.server.open("x") == nil)
        pair.client.machine.close(ids[1].client)
        pair.settle()
        #expect(pair.openChannel() != nil)
    }

    @Test("after no-more-sessions@openssh.com sessions are refused, forwards are not")
    func noMoreSessions() {
        let server = ConnectionEnd()
        server.receive(Message.globalRequest("no-more-sessions@openssh.com", wantsReply: false))
        server.receive(Message.open("session"))
        let refusal = server.takeMessages()
        #expect(refusal.map(\.number) == [92] && refusal.first?.field(1) == 1)
        guard case .open(_, .directTCPIP)? = server.receive(Message.directTCPIP("a", port: 80)) else {
            Issue.record("refused")
            return
        }
    }

    // MARK: - Global requests (RFC 4254 §4)

    @Test("answers leave in the order of the requests, whenever they are known")
    func replyOrder() {
        let server = ConnectionEnd()
        var tickets: [Int] = []
        for index in 0..<6 {
            // The odd ones want none.
            server.receive(Message.globalRequest("request-\(index)", wantsReply: index.isMultiple(of: 2)))
            if index.isMultiple(of: 2) { tickets.append(server.machine.newestGlobalRequest) }
        }
        server.machine.answerGlobalRequest(tickets[2], succeeded: false)
        server.machine.answerGlobalRequest(tickets[1], succeeded: true, ByteBuffer(bytes: [0, 0, 0, 9]))
        #expect(server.takeMessages().isEmpty)
        server.machine.answerGlobalRequest(tickets[0], succeeded: true)
        #expect(server.takeMessages() == [message(81), message(81, [0, 0, 0, 9]), message(82)])
        // A second answer to the same question goes nowhere.
        for ticket in tickets + [-1, 99] { server.machine.answerGlobalRequest(ticket, succeeded: true) }
        #expect(server.takeMessages().isEmpty)
    }

    @Test("a failure has no content")
    func failureIsEmpty() {
        let server = ConnectionEnd()
        server.receive(Message.globalRequest("x"))
        server.machine.answerGlobalRequest(
            server.machine.newestGlobalRequest, succeeded: false, ByteBuffer(bytes: [1, 2]))
        #expect(server.takeMessages() == [message(82)])
    }

    @Test("questions without an answer are bounded")
    func pendingRequests() {
        let server = ConnectionEnd()
        var count = 0
        while server.failure == nil, count < 100_000 {
            server.receive(Message.globalRequest("x"))
            count += 1
        }
        #expect(count == server.machine.limits.pendingGlobalRequests + 1)
        #expect(server.failure?.reason == .protocolError)
    }
}
