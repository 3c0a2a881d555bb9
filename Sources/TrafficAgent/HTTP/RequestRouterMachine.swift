package import NIOCore

/// Sends each HTTP/1 request of one connection where a filter says, and brings the answers back in order. Every byte is
/// passed on as it came.
///
/// Effects are appended to an array that the owner keeps; they are to be performed, and let go of, before the next call,
/// so that nothing is copied but what is held back.
///
/// A request goes on to another route than the one before only when all earlier answers are complete, so that answers
/// come from one route at a time. What is not HTTP/1 goes to the app whole; what two readers might take in two ways is
/// refused.
///
/// States of the client's side: head → content → head …, or tunnel (after an upgrade), or over.
package struct RequestRouterMachine {
    /// Where a request goes: the app, or an intercept by its place in the list.
    package enum Route: Hashable, Sendable {
        case app
        case intercept(Int)
    }

    package enum Effect {
        case send(Route, ByteBuffer)
        case answer(ByteBuffer)
        /// The client sends no more on this route.
        case end(Route)
        /// The answers are complete: close when they are written.
        case close
        /// An end of one side that is no orderly one.
        case abort
        /// The client speaks HTTP/2 (RFC 9113 §3.3), from the bytes on: somebody else's from now on.
        case http2(ByteBuffer)
    }

    private struct Pending {
        var kind: HTTPHead.ResponseTo
        var isUpgrade: Bool
    }

    private enum ClientState {
        case start
        case head
        case content(HTTPBody)
        case tunnel
        case over
    }

    private enum AnswerState {
        case head
        case content(HTTPBody)
        case tunnel
    }

    /// The preface of HTTP/2 (RFC 9113 §3.4).
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// Requests that may be on their way to one route.
    private static let maximumPending = 64

    private let choose: (HTTPHead) -> Route
    /// Where what is not HTTP/1 goes.
    private let other: Route
    private var client = ClientState.start
    private var answers = AnswerState.head
    /// What the client has sent and is not passed on.
    private var held = ByteBuffer()
    private var requestHead = HTTPHead()
    private var responseHead = HTTPHead()
    private var answerHead = ByteBuffer()
    private var route: Route?
    private var pending: CircularBuffer<Pending> = []
    private var clientEnded = false
    private var isWaiting = false

    /// `choose` is asked once for each request; what is not HTTP/1 goes to `other`, whole.
    package init(other: Route = .app, choose: @escaping (HTTPHead) -> Route) {
        self.other = other
        self.choose = choose
    }

    /// Whether more of the client is of use now: otherwise it waits for answers.
    package var wantsClient: Bool {
        if case .over = client { return false }
        return !isWaiting && held.readableBytes < HTTPHead.maximumLength
    }

    // MARK: The client

    package mutating func receive(_ bytes: ByteBuffer, _ effects: inout [Effect]) {
        if held.readableBytes == 0 { held.clear() } else { held.discardReadBytes() }
        held.writeImmutableBuffer(bytes)
        advance(&effects)
    }

    /// The client sends no more.
    package mutating func end(_ effects: inout [Effect]) {
        clientEnded = true
        advance(&effects)
    }

    private mutating func advance(_ effects: inout [Effect]) {
        do throws(HTTPHead.Problem) {
            while try step(&effects) {}
        } catch {
            refuse(error, &effects)
        }
    }

    /// Whether there is more to do.
    private mutating func step(_ effects: inout [Effect]) throws(HTTPHead.Problem) -> Bool {
        switch client {
        case .start:
            guard recognise(&effects) else { return try stepEnd(&effects) }
            return true
        case .head:
            // Blank lines before a request are passed over (RFC 9112 §2.2).
            while held.readableBytesView.starts(with: [13, 10]) { held.moveReaderIndex(forwardBy: 2) }
            defer { requestHead.clear() }
            guard try requestHead.read(held, isResponse: false) else { return try stepEnd(&effects) }
            let next = choose(requestHead)
            // An answer of one route may not overtake another's; nor may anything follow an upgrade before its answer.
            let mustWait = !pending.isEmpty && (next != route || pending.last?.isUpgrade == true)
            isWaiting = mustWait || pending.count >= Self.maximumPending
            if isWaiting { return false }
            let body = try requestHead.body(ofResponseTo: nil)
            route = next
            let isCONNECT = requestHead.isCONNECT
            pending.append(
                Pending(
                    kind: requestHead.isHEAD ? .head : isCONNECT ? .connect : .other,
                    isUpgrade: isCONNECT || requestHead.isUpgrade))
            if let slice = held.readSlice(length: requestHead.length) { pass(slice, to: next, &effects) }
            client = .content(body)
            return true
        case .content(var body):
            let data = try body.read(&held)
            if data.readableBytes > 0, let route { pass(data, to: route, &effects) }
            client = body.isOver ? .head : .content(body)
            return body.isOver ? held.readableBytes > 0 || clientEnded : try stepEnd(&effects)
        case .tunnel:
            let route = route ?? other
            self.route = route
            if let data = held.readSlice(length: held.readableBytes), data.readableBytes > 0 {
                pass(data, to: route, &effects)
            }
            return try stepEnd(&effects)
        case .over:
            held.clear()
            return false
        }
    }

    /// Bytes just taken from `held`: with those before them, where they go the same way, they are one write.
    private func pass(_ bytes: ByteBuffer, to route: Route, _ effects: inout [Effect]) {
        if case .send(route, let before) = effects.last {
            let length = before.readableBytes + bytes.readableBytes
            if let both = held.getSlice(at: held.readerIndex - length, length: length) {
                effects[effects.count - 1] = .send(route, both)
                return
            }
        }
        effects.append(.send(route, bytes))
    }

    /// What the first bytes are; whether that is known.
    private mutating func recognise(_ effects: inout [Effect]) -> Bool {
        let view = held.readableBytesView
        if view.starts(with: Self.preface.prefix(view.count)), view.count >= 3 {
            guard view.count >= Self.preface.count else { return false }
            client = .over
            if let bytes = held.readSlice(length: held.readableBytes) { effects.append(.http2(bytes)) }
            return true
        }
        // A method, then a blank.
        let word = view.prefix { $0.isTokenByte }
        if word.count > 32
            || word.count < view.count
                && (word.isEmpty && view.first != 13 || view[word.endIndex] != 32 && view.first != 13)
        {
            client = .tunnel
            answers = .tunnel
            return true
        }
        guard word.count < view.count else { return false }
        client = .head
        return true
    }

    private mutating func stepEnd(_ effects: inout [Effect]) throws(HTTPHead.Problem) -> Bool {
        guard clientEnded else { return false }
        switch client {
        case .tunnel:
            effects.append(.end(route ?? other))
        case .start, .head:
            guard held.readableBytes == 0 else {
                // Half a request is nobody's.
                effects.append(.abort)
                break
            }
            if let route { effects.append(.end(route)) }
            if pending.isEmpty { effects.append(.close) }
        case .content:
            if let route { effects.append(.end(route)) }
        case .over: return false
        }
        client = .over
        return false
    }

    private mutating func refuse(_ problem: HTTPHead.Problem, _ effects: inout [Effect]) {
        let status = problem == .tooLong ? "431 Request Header Fields Too Large" : "400 Bad Request"
        // Whoever has all of the connection has this as well, and may know better.
        if other != .app, route == nil {
            client = .tunnel
            answers = .tunnel
            return advance(&effects)
        }
        client = .over
        held.clear()
        guard pending.isEmpty else { return effects.append(.abort) }
        effects.append(.answer(Self.ownAnswer(status)))
        effects.append(.close)
    }

    private static func ownAnswer(_ status: String, _ fields: String = "") -> ByteBuffer {
        ByteBuffer(string: "HTTP/1.1 \(status)\r\n\(fields)Content-Length: 0\r\nConnection: close\r\n\r\n")
    }

    // MARK: The routes

    /// The current route's bytes.
    package mutating func receive(_ bytes: ByteBuffer, from source: Route, _ effects: inout [Effect]) {
        guard source == route else { return }
        var bytes = bytes
        if answerHead.readableBytes > 0 {
            answerHead.writeImmutableBuffer(bytes)
            bytes = answerHead
            answerHead = ByteBuffer()
        }
        let all = bytes
        do throws(HTTPHead.Problem) {
            while bytes.readableBytes > 0, try stepAnswer(&bytes, &effects) {}
        } catch {
            // What no client should be given.
            effects.append(.abort)
            client = .over
            return
        }
        // Everything that was understood, as one write.
        let length = all.readableBytes - bytes.readableBytes
        if length > 0, let slice = all.getSlice(at: all.readerIndex, length: length) { effects.append(.answer(slice)) }
        if bytes.readableBytes > 0 { answerHead.writeImmutableBuffer(bytes) }
        if isWaiting, pending.isEmpty || route == source {
            isWaiting = false
            advance(&effects)
        } else if clientEnded, pending.isEmpty, case .over = client {
            effects.append(.close)
        }
    }

    /// Moves behind what is understood; whether that is more than nothing.
    private mutating func stepAnswer(
        _ bytes: inout ByteBuffer, _ effects: inout [Effect]
    ) throws(HTTPHead.Problem) -> Bool {
        switch answers {
        case .tunnel:
            bytes.moveReaderIndex(forwardBy: bytes.readableBytes)
        case .content(var body):
            _ = try body.read(&bytes)
            if body.isOver { answerIsOver() } else { answers = .content(body) }
        case .head:
            guard let request = pending.first else { throw .malformed }
            defer { responseHead.clear() }
            guard try responseHead.read(bytes, isResponse: true) else { return false }
            bytes.moveReaderIndex(forwardBy: responseHead.length)
            let status = responseHead.status
            if status == 101 || request.kind == .connect && (200..<300).contains(status) {
                answers = .tunnel
                client = .tunnel
                pending.removeAll()
                isWaiting = false
                advance(&effects)
                return true
            }
            // An interim answer (RFC 9110 §15.2).
            if status < 200 { return true }
            let body = try responseHead.body(ofResponseTo: request.kind)
            if body.isOver { answerIsOver() } else { answers = .content(body) }
        }
        return true
    }

    private mutating func answerIsOver() {
        answers = .head
        pending.removeFirst()
    }

    /// A route sends no more. One that had nothing more to say may be connected to again.
    package mutating func ended(_ source: Route, _ effects: inout [Effect]) {
        guard source == route else { return }
        switch answers {
        case .tunnel: effects.append(.close)
        case .content(.untilEnd):
            answerIsOver()
            client = .over
            effects.append(.close)
        case .content: effects.append(.abort)
        case .head:
            guard pending.isEmpty, answerHead.readableBytes == 0 else {
                return failed(source, "502 Bad Gateway", &effects)
            }
            // Kept open, it has had enough: the client's next request would be lost there.
            client = .over
            effects.append(.close)
        }
    }

    /// A route cannot be had, or broke: the client is told so, if it can be.
    package mutating func failed(
        _ source: Route, _ status: String, retryAfter seconds: Int? = nil, _ effects: inout [Effect]
    ) {
        guard source == route else { return }
        let isWhole: Bool =
            switch answers {
            case .head: answerHead.readableBytes == 0
            case .content, .tunnel: false
            }
        let wasTunnel = if case .tunnel = client { true } else { false }
        client = .over
        held.clear()
        guard isWhole, !wasTunnel, !pending.isEmpty else { return effects.append(.abort) }
        let field = seconds.map { "Retry-After: \($0)\r\n" } ?? ""
        effects.append(.answer(Self.ownAnswer(status, field)))
        effects.append(.close)
    }
}
