import Testing

@testable import SSHClient

@Suite struct PoolPlacementTests {
    private typealias Session = PoolPlacement.Session

    @Test func theLeastLoadedSessionIsUsed() {
        let sessions = [
            Session(canOpenAtOnce: true, bulkFlows: 0, flows: 9), Session(canOpenAtOnce: true, bulkFlows: 0, flows: 2),
        ]
        #expect(PoolPlacement.place(sessions, starting: 0, limit: 4) == .init(use: 1, addsSession: false))
    }

    @Test func anOpenThatWouldWaitGetsASessionOfItsOwn() {
        let busy = [Session(canOpenAtOnce: false, bulkFlows: 0, flows: 1)]
        #expect(PoolPlacement.place(busy, starting: 0, limit: 4) == .init(use: nil, addsSession: true))
        #expect(PoolPlacement.place(busy, starting: 1, limit: 4) == .init(use: nil, addsSession: false))
        #expect(PoolPlacement.place(busy, starting: 0, limit: 1) == .init(use: nil, addsSession: false))
    }

    @Test func bulkIsAvoidedAndASessionAdded() {
        let bulk = Session(canOpenAtOnce: true, bulkFlows: 1, flows: 1)
        let quiet = Session(canOpenAtOnce: true, bulkFlows: 0, flows: 50)
        #expect(PoolPlacement.place([bulk, quiet], starting: 0, limit: 4) == .init(use: 1, addsSession: false))
        #expect(PoolPlacement.place([bulk], starting: 0, limit: 4) == .init(use: 0, addsSession: true))
        #expect(PoolPlacement.place([bulk], starting: 0, limit: 1) == .init(use: 0, addsSession: false))
    }
}
