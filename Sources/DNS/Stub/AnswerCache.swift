/// Answers as they came, for as long as they may be kept. A hit copies one and changes what differs; nothing is parsed
/// and nothing allocated.
///
/// Sets of four: who is stored in a full set takes the place of whoever was used the longest time ago. So the cache never
/// grows, and names made to collide only push out each other.
struct AnswerCache: ~Copyable {
    /// 4,096 answers of at most 1,232 bytes: 6 MiB at the very most, and a few hundred KiB as names are.
    private static let setCount = 1024
    private static let ways = 4
    /// What fits a datagram everywhere (DNS flag day 2020): others are asked for again.
    static let maximumLength = 1232

    private struct Entry {
        var hash: UInt64 = 0
        var key: [UInt8] = []
        var message: [UInt8] = []
        /// Where TTLs are.
        var offsets: [UInt16] = []
        var stored: UInt64 = 0
        var expires: UInt64 = 0
        var used: UInt64 = 0
    }

    private var entries: [Entry] = []
    /// So that nobody outside knows which names collide.
    private let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
    }

    /// Writes the answer to a query with this key: its id and question are the query's, and TTLs have aged. Returns the
    /// length, or nil if there is none.
    mutating func answer(
        _ query: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer, now: UInt64,
        into output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard !entries.isEmpty else { return nil }
        let hash = Self.digest(key, seed: seed)
        let start = Int(hash % UInt64(Self.setCount)) * Self.ways
        for index in start..<start + Self.ways {
            guard entries[index].hash == hash, entries[index].expires > now, entries[index].key.elementsEqual(key)
            else { continue }
            entries[index].used = now
            let length = entries[index].message.count
            entries[index].message.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) -> Void in
                output.copyMemory(from: bytes)
            }
            output.copyMemory(from: UnsafeRawBufferPointer(rebasing: query[..<2]))
            // The question in the letters of whoever asks.
            let question = Header.length..<Header.length + key.count - 5
            UnsafeMutableRawBufferPointer(rebasing: output[question]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: query[question]))
            let age = UInt32(clamping: (now - entries[index].stored) / 1_000_000_000)
            for offset in entries[index].offsets { Self.age(output, at: Int(offset), by: age) }
            return length
        }
        return nil
    }

    /// Keeps an answer for `lifetime` seconds.
    mutating func store(
        _ message: UnsafeRawBufferPointer, key: [UInt8], offsets: [UInt16], lifetime: UInt32, now: UInt64
    ) {
        guard lifetime > 0, message.count <= Self.maximumLength else { return }
        if entries.isEmpty { entries = Array(repeating: Entry(), count: Self.setCount * Self.ways) }
        let hash = key.withUnsafeBytes { Self.digest($0, seed: seed) }
        let start = Int(hash % UInt64(Self.setCount)) * Self.ways
        var place = start
        for index in start..<start + Self.ways {
            if entries[index].hash == hash, entries[index].key == key {
                place = index
                break
            }
            if entries[index].expires <= now {
                place = index
            } else if entries[place].expires > now, entries[index].used < entries[place].used {
                place = index
            }
        }
        entries[place] = Entry(
            hash: hash, key: key, message: Array(message), offsets: offsets, stored: now,
            expires: now + UInt64(lifetime) * 1_000_000_000, used: now)
    }

    mutating func removeAll() {
        entries = []
    }

    private static func age(_ message: UnsafeMutableRawBufferPointer, at offset: Int, by seconds: UInt32) {
        var value: UInt32 = 0
        for index in offset..<offset + 4 { value = value << 8 | UInt32(message[index]) }
        // RFC 2181 §8: one with the highest bit is zero.
        value = value > UInt32(Int32.max) ? 0 : value - min(value, seconds)
        for index in 0..<4 { message[offset + index] = UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32(index))) }
    }

    /// FNV-1a over words, with a seed, and mixed at the end.
    private static func digest(_ key: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        var hash = seed ^ UInt64(key.count)
        var position = 0
        while position + 8 <= key.count {
            hash = (hash ^ key.loadUnaligned(fromByteOffset: position, as: UInt64.self)) &* 0x9e37_79b9_7f4a_7c15
            hash ^= hash >> 32
            position += 8
        }
        while position < key.count {
            hash = (hash ^ UInt64(key[position])) &* 0x0000_0100_0000_01b3
            position += 1
        }
        hash ^= hash >> 29
        hash = hash &* 0xbf58_476d_1ce4_e5b9
        return hash ^ hash >> 32
    }
}
