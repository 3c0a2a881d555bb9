package import NIOCore

/// Sends each HTTP/1 request of one connection where a filter says, and brings the answers back in order. Every byte is
/// passed on as it came.
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
    }

    private struct Pending {
        var method: String
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
    private var client = ClientState.start
    private var answers = AnswerState.head
    /// What the client has sent and is not passed on.
    private var held = ByteBuffer()
    private var answerHead = ByteBuffer()
    private var route: Route?
    private var pending: CircularBuffer<Pending> = []
    private var clientEnded = false
    private var isWaiting = false

    /// `choose` is asked once for each request.
    package init(choose: @escaping (HTTPHead) -> Route) { self.choose = choose }

    /// Whether more of the client is of use now: otherwise it waits for answers.
    package var wantsClient: Bool {
        if case .over = client { return false }
        return !isWaiting && held.readableBytes < HTTPHead.maximumLength
    }

    // MARK: The client

    package mutating func receive(_ bytes: inout ByteBuffer) -> [Effect] {
        held.writeBuffer(&bytes)
        return advance()
    }

    /// The client sends no more.
    package mutating func end() -> [Effect] {
        clientEnded = true
        return advance()
    }

    private mutating func advance() -> [Effect] {
        var effects: [Effect] = []
        do {
            while try step(&effects) {}
        } catch {
            refuse(error, &effects)
        }
        held.discardReadBytes()
        return effects
    }

    /// Whether there is more to do.
    private mutating func step(_ effects: inout [Effect]) throws(HTTPHead.Problem) -> Bool {
        switch client {
        case .start:
            guard try recognise() else { return try stepEnd(&effects) }
            return true
        case .head:
            // Blank lines before a request are passed over (RFC 9112 §2.2).
            while held.readableBytesView.starts(with: [13, 10]) { held.moveReaderIndex(forwardBy: 2) }
            guard let head = try HTTPHead.read(held, isResponse: false) else { return try stepEnd(&effects) }
            let next = choose(head)
            // An answer of one route may not overtake another's; nor may anything follow an upgrade before its answer.
            let mustWait = !pending.isEmpty && (next != route || pending.last?.isUpgrade == true)
            isWaiting = mustWait || pending.count >= Self.maximumPending
            if isWaiting { return false }
            let body = try head.body(ofResponseTo: nil)
            route = next
            pending.append(
                Pending(
                    method: head.method, isUpgrade: head.method == "CONNECT" || head.has("upgrade", in: "connection")))
            if let slice = held.readSlice(length: head.length) { effects.append(.send(next, slice)) }
            client = .content(body)
            return true
        case .content(var body):
            let data = try body.read(&held)
            if data.readableBytes > 0, let route { effects.append(.send(route, data)) }
            client = body.isOver ? .head : .content(body)
            return body.isOver ? held.readableBytes > 0 || clientEnded : try stepEnd(&effects)
        case .tunnel:
            let route = route ?? .app
            self.route = route
            if let data = held.readSlice(length: held.readableBytes), data.readableBytes > 0 {
                effects.append(.send(route, data))
            }
            return try stepEnd(&effects)
        case .over:
            held.clear()
            return false
        }
    }

    /// What the first bytes are; whether that is known.
    private mutating func recognise() throws(HTTPHead.Problem) -> Bool {
        let view = held.readableBytesView
        if view.starts(with: Self.preface.prefix(view.count)), view.count >= 3 {
            guard view.count >= Self.preface.count else { return false }
            client = .tunnel
            answers = .tunnel
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
            effects.append(.end(route ?? .app))
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
    package mutating func receive(_ bytes: inout ByteBuffer, from source: Route) -> [Effect] {
        guard source == route else { return [] }
        var effects: [Effect] = []
        do {
            while bytes.readableBytes > 0 { try stepAnswer(&bytes, &effects) }
        } catch {
            // What no client should be given.
            effects.append(.abort)
            client = .over
            return effects
        }
        if isWaiting, pending.isEmpty || route == source {
            isWaiting = false
            effects += advance()
        } else if clientEnded, pending.isEmpty, case .over = client {
            effects.append(.close)
        }
        return effects
    }

    private mutating func stepAnswer(_ bytes: inout ByteBuffer, _ effects: inout [Effect]) throws(HTTPHead.Problem) {
        switch answers {
        case .tunnel:
            effects.append(.answer(bytes))
            bytes.moveReaderIndex(forwardBy: bytes.readableBytes)
        case .content(var body):
            let data = try body.read(&bytes)
            if data.readableBytes > 0 { effects.append(.answer(data)) }
            if body.isOver { answerIsOver() } else { answers = .content(body) }
        case .head:
            guard let request = pending.first else { throw .malformed }
            answerHead.writeBuffer(&bytes)
            guard let head = try HTTPHead.read(answerHead, isResponse: true) else { return }
            bytes = answerHead
            answerHead = ByteBuffer()
            if let slice = bytes.readSlice(length: head.length) { effects.append(.answer(slice)) }
            if head.status == 101 || request.method == "CONNECT" && (200..<300).contains(head.status) {
                answers = .tunnel
                client = .tunnel
                pending.removeAll()
                isWaiting = false
                effects += advance()
                return
            }
            // An interim answer (RFC 9110 §15.2).
            if head.status < 200 { return }
            let body = try head.body(ofResponseTo: request.method)
            if body.isOver { answerIsOver() } else { answers = .content(body) }
        }
    }

    private mutating func answerIsOver() {
        answers = .head
        pending.removeFirst()
    }

    /// A route sends no more. One that had nothing more to say may be connected to again.
    package mutating func ended(_ source: Route) -> [Effect] {
        guard source == route else { return [] }
        switch answers {
        case .tunnel: return [.close]
        case .content(.untilEnd):
            answerIsOver()
            client = .over
            return [.close]
        case .content: return [.abort]
        case .head:
            guard pending.isEmpty, answerHead.readableBytes == 0 else { return failed(source, "502 Bad Gateway") }
            // Kept open, it has had enough: the client's next request would be lost there.
            client = .over
            return [.close]
        }
    }

    /// A route cannot be had, or broke: the client is told so, if it can be.
    package mutating func failed(_ source: Route, _ status: String, retryAfter seconds: Int? = nil) -> [Effect] {
        guard source == route else { return [] }
        let isWhole: Bool =
            switch answers {
            case .head: answerHead.readableBytes == 0
            case .content, .tunnel: false
            }
        let wasTunnel = if case .tunnel = client { true } else { false }
        client = .over
        held.clear()
        guard isWhole, !wasTunnel, !pending.isEmpty else { return [.abort] }
        let field = seconds.map { "Retry-After: \($0)\r\n" } ?? ""
        return [.answer(Self.ownAnswer(status, field)), .close]
    }
}
