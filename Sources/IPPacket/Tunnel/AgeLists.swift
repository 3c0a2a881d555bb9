/// Lists of table slots, each in the order in which they were last touched: what is due or to be given up is first.
///
/// A slot is in one list at most. Touching and removing take the same time however many there are.
struct AgeLists {
    private struct Entry {
        var list: Int32 = -1
        var previous: Int32 = -1
        var next: Int32 = -1
        var time: UInt64 = 0
    }

    private struct Ends {
        var first: Int32 = -1
        var last: Int32 = -1
    }

    private var entries: ContiguousArray<Entry> = []
    private var ends: ContiguousArray<Ends>

    init(count: Int) { ends = ContiguousArray(repeating: Ends(), count: count) }

    /// Makes `slot` the last of `list`, wherever it was before.
    mutating func touch(_ slot: Int, in list: Int, now: UInt64) {
        while entries.count <= slot { entries.append(Entry()) }
        remove(slot)
        let last = ends[list].last
        entries[slot] = Entry(list: Int32(list), previous: last, next: -1, time: now)
        if last >= 0 { entries[Int(last)].next = Int32(slot) } else { ends[list].first = Int32(slot) }
        ends[list].last = Int32(slot)
    }

    mutating func remove(_ slot: Int) {
        guard slot < entries.count, entries[slot].list >= 0 else { return }
        let entry = entries[slot]
        let list = Int(entry.list)
        if entry.previous >= 0 { entries[Int(entry.previous)].next = entry.next } else { ends[list].first = entry.next }
        if entry.next >= 0 {
            entries[Int(entry.next)].previous = entry.previous
        } else {
            ends[list].last = entry.previous
        }
        entries[slot].list = -1
    }

    /// The slot of `list` that was touched longest ago, and when.
    func oldest(in list: Int) -> (slot: Int, time: UInt64)? {
        let first = Int(ends[list].first)
        return first >= 0 ? (first, entries[first].time) : nil
    }

    /// The list that `slot` is in.
    func list(of slot: Int) -> Int? {
        guard slot < entries.count, entries[slot].list >= 0 else { return nil }
        return Int(entries[slot].list)
    }
}
