import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A value that others change, and that a test waits for.
final class Observed<Value: Sendable>: Sendable {
    struct TimedOut: Error, CustomStringConvertible {
        let what: String
        let value: Value
        var description: String { "no \(what): \(value)" }
    }

    private struct Waiter {
        let isMet: @Sendable (Value) -> Bool
        let promise: EventLoopPromise<Value>
    }

    private struct State {
        var value: Value
        var waiters: [Int: Waiter] = [:]
        var next = 0
    }

    private let state: NIOLockedValueBox<State>

    init(_ value: Value) {
        state = NIOLockedValueBox(State(value: value))
    }

    var value: Value { state.withLockedValue { $0.value } }

    func update(_ change: (inout Value) -> Void) {
        let (met, value) = state.withLockedValue { state -> ([Waiter], Value) in
            change(&state.value)
            let met = state.waiters.filter { $0.value.isMet(state.value) }
            for key in met.keys { state.waiters[key] = nil }
            return (Array(met.values), state.value)
        }
        for waiter in met { waiter.promise.succeed(value) }
    }

    /// The value as soon as it meets a condition.
    @discardableResult
    func wait(
        _ what: String, within limit: TimeAmount = .seconds(60), until isMet: @escaping @Sendable (Value) -> Bool
    ) async throws -> Value {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.any()
        let promise = eventLoop.makePromise(of: Value.self)
        let key = state.withLockedValue { state -> Int? in
            if isMet(state.value) { return nil }
            state.next += 1
            state.waiters[state.next] = Waiter(isMet: isMet, promise: promise)
            return state.next
        }
        guard let key else {
            promise.succeed(value)
            return try await promise.futureResult.get()
        }
        let timer = eventLoop.scheduleTask(in: limit) {
            let waiter = self.state.withLockedValue { $0.waiters.removeValue(forKey: key) }
            waiter?.promise.fail(TimedOut(what: what, value: self.value))
        }
        defer { timer.cancel() }
        return try await promise.futureResult.get()
    }
}
