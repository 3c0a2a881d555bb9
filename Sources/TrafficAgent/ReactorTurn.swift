import Reactors
import Synchronization

/// The reactors, one after the other.
final class ReactorTurn: Sendable {
    private let number = Atomic<Int>(0)

    func next() -> Reactor {
        let number = number.wrappingAdd(1, ordering: .relaxed).oldValue
        return Reactor.all[number % Reactor.all.count]
    }
}
