import Testing

@testable import SSHClient

@Suite struct EngineMemoryTests {
    @Test(arguments: [0, 1, 128, 129, 1024, 36_864, 36_865, 1 << 20]) func blocksHoldWhatWasAskedFor(_ size: Int) throws
    {
        var memory = EngineMemory()
        let allocated = memory.allocate(size)
        let block = try #require(allocated)
        #expect(EngineMemory.size(of: block) == size)
        #expect(Int(bitPattern: block) % 16 == 0)
        for offset in 0..<size {
            block.storeBytes(of: UInt8(truncatingIfNeeded: offset), toByteOffset: offset, as: UInt8.self)
        }
        let reallocated = memory.reallocate(block, size * 2 + 1)
        let moved = try #require(reallocated)
        #expect(
            (0..<size).allSatisfy { moved.load(fromByteOffset: $0, as: UInt8.self) == UInt8(truncatingIfNeeded: $0) })
        memory.release(moved)
    }

    @Test func freedBlocksServeAgain() throws {
        var memory = EngineMemory()
        let allocated = memory.allocate(100)
        let first = try #require(allocated)
        memory.release(first)
        let second = memory.allocate(60)
        #expect(first == second)
        memory.release(first)
    }

    @Test func anUnderflowIsRefused() {
        var memory = EngineMemory()
        for size in [-4, Int.max] {
            let block = memory.allocate(size)
            #expect(block == nil)
        }
    }
}
