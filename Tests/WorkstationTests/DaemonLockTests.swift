import Glibc
import Testing

@testable import Workstation

@Suite struct DaemonLockTests {
    @Test func isHeldByOneAndGoesWithIt() throws {
        try TemporaryDirectory.with { directory in
            let path = directory + "/x.lock"
            #expect(!DaemonLock.isHeld(path))
            do {
                let lock = try DaemonLock.take(path)
                let isMine = lock != nil
                #expect(isMine)
                #expect(DaemonLock.isHeld(path))
                #expect(DaemonLock.holder(path) == getpid())
                let second = try DaemonLock.take(path)
                let isTaken = second == nil
                #expect(isTaken)
                withExtendedLifetime(lock != nil) {}
                _ = consume lock
            }
            #expect(!DaemonLock.isHeld(path))
            #expect(access(path, F_OK) != 0)
        }
    }
}
