import NIOCore
import Testing
import Workstation

@Suite struct SessionMachineTests {
    private var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private var machine = SessionMachine(timing: .init())

    private mutating func connect() { _ = machine.receive(.connected, now: now) }

    private mutating func pass(_ time: TimeAmount, _ progress: SessionMachine.Progress = .nothing)
        -> [SessionMachine.Effect]
    {
        now = now + time
        return machine.receive(.timer(progress), now: now)
    }

    @Test mutating func aQuietPathIsProbedAndAnAnswerKeepsIt() {
        connect()
        #expect(machine.wakeUp == now + .seconds(10))
        #expect(pass(.seconds(9)) == [])
        #expect(pass(.seconds(1)) == [.probe])
        #expect(machine.receive(.probeAnswered, now: now) == [])
        #expect(machine.wakeUp == now + .seconds(10))
        #expect(machine.state == .connected)
    }

    @Test mutating func whatIsNotAnsweredWithinTheDeadlineIsMadeAnew() {
        connect()
        #expect(pass(.seconds(10)) == [.probe])
        #expect(pass(.milliseconds(4999)) == [])
        #expect(pass(.milliseconds(1)) == [.renew])
        #expect(machine.wakeUp == nil)
        #expect(machine.receive(.disconnected, now: now) == [.changed(.reconnecting)])
        #expect(machine.receive(.connected, now: now) == [.changed(.connected)])
        #expect(machine.reconnects == 1)
    }

    @Test mutating func aPathThatMovesBytesIsNotDead() {
        connect()
        _ = pass(.seconds(10))
        for _ in 0..<20 { #expect(pass(.seconds(5), .bytes) == []) }
        #expect(pass(.seconds(5)) == [.renew])
    }

    @Test mutating func oneThatOnlyDrainsIsGivenSomeTime() {
        connect()
        _ = pass(.seconds(10))
        for _ in 0..<5 { #expect(pass(.seconds(5), .draining) == []) }
        #expect(pass(.seconds(5), .draining) == [.renew])
    }

    @Test(arguments: [SessionMachine.Event.networkChanged, .clockJumped])
    func whatHappensToTheMachineIsProbedAtOnce(_ event: SessionMachine.Event) {
        var machine = machine
        _ = machine.receive(.connected, now: now)
        #expect(machine.receive(event, now: now) == [.probe])
        // One that is under way tells as much.
        #expect(machine.receive(event, now: now + .seconds(1)) == [])
        #expect(machine.wakeUp == now + .seconds(5))
        _ = machine.receive(.disconnected, now: now)
        #expect(machine.receive(event, now: now) == [.renew])
    }

    @Test mutating func aProbeThatFailsIsADeadPath() {
        connect()
        #expect(machine.receive(.probeFailed, now: now) == [])
        _ = pass(.seconds(10))
        #expect(machine.receive(.probeFailed, now: now) == [.renew])
        #expect(machine.receive(.probeFailed, now: now) == [])
    }

    @Test mutating func nothingHappensAfterTheEnd() {
        connect()
        #expect(machine.receive(.failed, now: now) == [.changed(.ended)])
        for event in [
            SessionMachine.Event.connected, .disconnected, .failed, .probeAnswered, .probeFailed, .networkChanged,
            .clockJumped, .timer(.nothing),
        ] {
            #expect(machine.receive(event, now: now) == [])
        }
        #expect(machine.wakeUp == nil)
    }

    /// Whatever comes in whatever order: it never wants to be woken in the past, and never probes twice at once.
    @Test func anyOrderOfEventsIsTaken() {
        var random = SystemRandomNumberGenerator()
        let events: [SessionMachine.Event] = [
            .connected, .disconnected, .probeAnswered, .probeFailed, .networkChanged, .clockJumped, .timer(.nothing),
            .timer(.bytes), .timer(.draining),
        ]
        var machine = machine
        var now = now
        var isProbing = false
        for _ in 0..<20_000 {
            now = now + .milliseconds(.random(in: 0...3000, using: &random))
            let event = events.randomElement(using: &random) ?? .connected
            if event == .probeAnswered || event == .probeFailed || event == .disconnected { isProbing = false }
            for effect in machine.receive(event, now: now) {
                if effect == .probe {
                    #expect(!isProbing)
                    isProbing = true
                } else {
                    isProbing = false
                }
            }
            if machine.state != .connected { #expect(machine.wakeUp == nil) }
        }
    }
}
