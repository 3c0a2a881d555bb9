import Reactors

/// The filter sets of one reactor, so that a new connection has nothing to compile.
final class FilterCache {
    private var generation: UInt64 = 0
    private var sets: [UInt16: FilterSet] = [:]

    static func set(
        for verdict: RuleBook.Verdict, port: UInt16, probePaths: [String], on reactor: Reactor
    ) -> FilterSet {
        let cache = reactor.attachment as? FilterCache ?? FilterCache()
        reactor.attachment = cache
        if cache.generation != verdict.generation {
            cache.generation = verdict.generation
            cache.sets = [:]
        }
        if let set = cache.sets[port] { return set }
        let set = FilterSet(verdict, probePaths: probePaths)
        cache.sets[port] = set
        return set
    }
}
