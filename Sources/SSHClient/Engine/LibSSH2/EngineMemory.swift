import Glibc

/// The allocator libssh2 is given: free lists by size, since it allocates twice for every packet that arrives.
///
/// Each block carries a header with its size, which also bounds every look inside one (see `EngineContext.released`).
/// Confined to its session's event loop.
struct EngineMemory: ~Copyable {
    /// Keeps the blocks aligned as malloc does.
    private static let headerSize = 16
    /// Queue nodes and small messages; requests; a packet of 32 KiB with its header and MAC.
    private static let classes = (128, 1024, 36_864)
    /// Free blocks kept: a read of the socket holds about 32 full packets, or some thousand small ones.
    private static let kept = (4096, 512, 64)

    private struct FreeList {
        var head: UnsafeMutableRawPointer?
        var count = 0
    }

    private var lists = (FreeList(), FreeList(), FreeList())

    deinit {
        Self.drain(lists.0)
        Self.drain(lists.1)
        Self.drain(lists.2)
    }

    private static func drain(_ list: FreeList) {
        var next = list.head
        while let block = next {
            next = block.load(as: UnsafeMutableRawPointer?.self)
            free(block)
        }
    }

    mutating func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        // A size of more than half the address space is an underflow in the caller.
        guard count >= 0, count < Int.max - Self.headerSize else { return nil }
        let block: UnsafeMutableRawPointer?
        if count <= Self.classes.0 {
            block = Self.take(&lists.0, Self.classes.0)
        } else if count <= Self.classes.1 {
            block = Self.take(&lists.1, Self.classes.1)
        } else if count <= Self.classes.2 {
            block = Self.take(&lists.2, Self.classes.2)
        } else {
            block = malloc(count + Self.headerSize)
        }
        guard let block else { return nil }
        block.storeBytes(of: count, as: Int.self)
        return block + Self.headerSize
    }

    private static func take(_ list: inout FreeList, _ size: Int) -> UnsafeMutableRawPointer? {
        guard let block = list.head else { return malloc(size + headerSize) }
        list.head = block.load(as: UnsafeMutableRawPointer?.self)
        list.count -= 1
        return block
    }

    mutating func release(_ pointer: UnsafeMutableRawPointer) {
        let block = pointer - Self.headerSize
        let count = block.load(as: Int.self)
        if count <= Self.classes.0 {
            Self.give(&lists.0, block, Self.kept.0)
        } else if count <= Self.classes.1 {
            Self.give(&lists.1, block, Self.kept.1)
        } else if count <= Self.classes.2 {
            Self.give(&lists.2, block, Self.kept.2)
        } else {
            free(block)
        }
    }

    private static func give(_ list: inout FreeList, _ block: UnsafeMutableRawPointer, _ kept: Int) {
        guard list.count < kept else { return free(block) }
        block.storeBytes(of: list.head, as: UnsafeMutableRawPointer?.self)
        list.head = block
        list.count += 1
    }

    mutating func reallocate(_ pointer: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeMutableRawPointer? {
        guard let pointer else { return allocate(count) }
        guard let moved = allocate(count) else { return nil }
        moved.copyMemory(from: pointer, byteCount: min(count, Self.size(of: pointer)))
        release(pointer)
        return moved
    }

    /// The bytes a live block was asked for.
    static func size(of pointer: UnsafeMutableRawPointer) -> Int {
        (pointer - headerSize).load(as: Int.self)
    }
}
