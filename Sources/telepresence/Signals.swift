import Glibc

/// Signals as events: blocked in every thread, and waited for in the main one.
enum Signals {
    struct Received: Sendable {
        var number: Int32
        /// A process sent it; otherwise the terminal did, and our children have it too.
        var isFromProcess: Bool
    }

    private static let handled = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]

    private static var set: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for number in handled { sigaddset(&set, number) }
        return set
    }

    /// To be called before any thread is made: they inherit the mask.
    static func block() {
        var set = set
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    private static let stream = AsyncStream.makeStream(of: Received.self)

    /// The signals that `deliver` is given, for one consumer.
    static var received: AsyncStream<Received> { stream.stream }

    static func deliver(_ signal: Received) { stream.continuation.yield(signal) }

    /// Waits for the next signal; blocks its thread, which is the main one: no other keeps the mask for certain.
    static func next() -> Received {
        var set = set
        var information = siginfo_t()
        while true {
            let number = sigwaitinfo(&set, &information)
            if number > 0 { return Received(number: number, isFromProcess: information.si_code <= 0) }
        }
    }
}
