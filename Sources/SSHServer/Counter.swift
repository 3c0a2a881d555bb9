import Synchronization

/// A number that several event loops add to.
struct Counter: ~Copyable, Sendable {
    private let number = Atomic<Int>(0)

    func add(_ count: Int) { number.wrappingAdd(count, ordering: .relaxed) }
    func subtract(_ count: Int) { number.wrappingSubtract(count, ordering: .relaxed) }

    var value: UInt64 { UInt64(max(0, number.load(ordering: .relaxed))) }
}
