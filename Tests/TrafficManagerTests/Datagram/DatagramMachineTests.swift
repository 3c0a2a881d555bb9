import NIOCore
import SSHProtocol
import Testing

@testable import TrafficManager

@Suite struct DatagramMachineTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func bytes(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

    /// What follows from frames of the client.
    private func receive(
        _ frames: DatagramFrame..., on machine: inout DatagramMachine, at time: NIODeadline? = nil
    ) throws -> [DatagramMachine.Effect] {
        var buffer = ByteBuffer()
        for frame in frames { frame.write(into: &buffer) }
        machine.receive(buffer)
        return try drain(&machine, at: time)
    }

    private func drain(_ machine: inout DatagramMachine, at time: NIODeadline? = nil) throws -> [DatagramMachine.Effect]
    {
        var effects: [DatagramMachine.Effect] = []
        while let effect = try machine.next(now: time ?? start) { effects.append(effect) }
        return effects
    }

    private func output(_ machine: inout DatagramMachine) throws -> [DatagramFrame] {
        var frames: [DatagramFrame] = []
        while var buffer = machine.takeOutput() {
            while let frame = try DatagramFrame.read(from: &buffer, sentBy: .server) { frames.append(frame) }
            #expect(buffer.readableBytes == 0)
        }
        return frames
    }

    private func handle(_ effects: [DatagramMachine.Effect]) throws -> DatagramMachine.Handle {
        for case .open(let handle, _) in effects { return handle }
        Issue.record("nothing is opened: \(effects)")
        throw CancellationError()
    }

    private func open(
        _ number: UInt32, port: UInt32 = 9, on machine: inout DatagramMachine, at time: NIODeadline? = nil
    ) throws -> DatagramMachine.Handle {
        let handle = try handle(receive(.open(flow: number, host: "h", port: port), on: &machine, at: time))
        #expect(machine.opened(handle) != nil)
        return handle
    }

    @Test func datagramsWaitUntilTheFlowIsOpen() throws {
        var machine = DatagramMachine()
        let effects = try receive(
            .open(flow: 5, host: "hello", port: 9), .data(flow: 5, bytes("one")), .data(flow: 5, bytes("two")),
            on: &machine)
        let handle = try handle(effects)
        #expect(effects == [.open(handle, .udp(host: "hello", port: 9))])
        #expect(machine.opened(handle).map { $0.map(\.bytes) } == [bytes("one"), bytes("two")])
        #expect(try receive(.data(flow: 5, bytes("three")), on: &machine) == [.send(handle, bytes("three"))])
        machine.received(bytes("answer"), on: handle, now: start)
        #expect(try output(&machine) == [.data(flow: 5, bytes("answer"))])
        #expect(machine.figures.datagramsSent == 3)
        #expect(machine.figures.bytesReceived == 6)
    }

    @Test func framesMayComeByteForByte() throws {
        var machine = DatagramMachine()
        var buffer = ByteBuffer()
        DatagramFrame.open(flow: 5, host: "hello", port: 9).write(into: &buffer)
        DatagramFrame.data(flow: 5, bytes("one")).write(into: &buffer)
        var effects: [DatagramMachine.Effect] = []
        while let byte = buffer.readSlice(length: 1) {
            machine.receive(byte)
            effects += try drain(&machine)
        }
        #expect(effects.count == 1)
        let handle = try handle(effects)
        #expect(machine.opened(handle)?.count == 1)
    }

    @Test func theOldestOfTooManyWaitingIsDropped() throws {
        var machine = DatagramMachine()
        let handle = try handle(receive(.open(flow: 5, host: "h", port: 9), on: &machine))
        for number in 0..<(DatagramMachine.maximumWaiting + 3) {
            _ = try receive(.data(flow: 5, bytes("\(number)")), on: &machine)
        }
        let waiting = machine.opened(handle) ?? []
        #expect(waiting.count == DatagramMachine.maximumWaiting)
        #expect(waiting.first?.bytes == bytes("3"))
        #expect(machine.figures.dropped == 3)
    }

    @Test func echoesKeepTheirIdentifierAndSequence() throws {
        var machine = DatagramMachine()
        let echo = DatagramFrame.echo(flow: 1, host: "h", identifier: 77, sequence: 1, payload: bytes("ping"))
        let effects = try receive(echo, on: &machine)
        let handle = try handle(effects)
        #expect(effects == [.open(handle, .echo(host: "h"))])
        #expect(machine.opened(handle)?.first == DatagramMachine.Waiting(sequence: 1, bytes: bytes("ping")))
        #expect(
            try receive(
                .echo(flow: 1, host: "h", identifier: 77, sequence: 2, payload: bytes("again")), on: &machine)
                == [.echo(handle, sequence: 2, bytes("again"))])
        machine.echoed(sequence: 2, bytes("again"), on: handle, now: start)
        #expect(
            try output(&machine) == [.echoReply(flow: 1, identifier: 77, sequence: 2, payload: bytes("again"))])
        // To another host is another flow.
        let other = try receive(
            .echo(flow: 1, host: "i", identifier: 77, sequence: 3, payload: bytes("")), on: &machine)
        #expect(other.first == .close(handle))
        machine.echoed(sequence: 2, bytes("late"), on: handle, now: start)
        #expect(try output(&machine).isEmpty)
    }

    // MARK: Numbers

    @Test func aNumberThatIsUsedAgainIsANewFlow() throws {
        var machine = DatagramMachine()
        let first = try handle(receive(.open(flow: 5, host: "a", port: 9), .data(flow: 5, bytes("a")), on: &machine))
        let effects = try receive(.open(flow: 5, host: "b", port: 9), on: &machine)
        #expect(effects.first == .close(first))
        let second = try handle(effects)
        #expect(second != first)
        #expect(machine.count == 1)
        // What was on its way for the first is nobody's.
        #expect(machine.opened(first) == nil)
        machine.failed(first, .portUnreachable, "")
        machine.failedOnce(first, .portUnreachable, "")
        machine.received(bytes("stale"), on: first, now: start)
        #expect(try output(&machine).isEmpty)
        #expect(machine.opened(second)?.isEmpty == true)
        // An echo takes a number, too.
        let third = try receive(.echo(flow: 5, host: "b", identifier: 1, sequence: 1, payload: bytes("")), on: &machine)
        #expect(third.first == .close(second))
        #expect(try receive(.data(flow: 5, bytes("x")), on: &machine).isEmpty)
        #expect(try output(&machine) == [.close(flow: 5)])
    }

    @Test func flowsThatAreOverAreSaidToBe() throws {
        var machine = DatagramMachine()
        #expect(try receive(.data(flow: 5, bytes("x")), .close(flow: 5), on: &machine).isEmpty)
        #expect(try output(&machine) == [.close(flow: 5)])
        let handle = try open(6, on: &machine)
        #expect(try receive(.close(flow: 6), on: &machine) == [.close(handle)])
        #expect(machine.count == 0)
    }

    @Test(arguments: [0, 65_536, .max] as [UInt32]) func portsThatAreNone(port: UInt32) throws {
        var machine = DatagramMachine()
        #expect(try receive(.open(flow: 5, host: "h", port: port), on: &machine).isEmpty)
        #expect(
            try output(&machine) == [
                .error(flow: 5, reason: 1, text: "port \(port) is not between 1 and 65535")
            ])
        #expect(machine.count == 0)
    }

    @Test func whatCannotBeOpenedIsOver() throws {
        var machine = DatagramMachine()
        let handle = try handle(receive(.open(flow: 5, host: "h", port: 9), .data(flow: 5, bytes("x")), on: &machine))
        machine.failed(handle, .prohibited, "no")
        #expect(machine.nextEffect() == .close(handle))
        #expect(try output(&machine) == [.error(flow: 5, reason: 3, text: "no")])
        #expect(machine.count == 0)
    }

    @Test func anErrorDoesNotEndAFlow() throws {
        var machine = DatagramMachine()
        let handle = try open(5, on: &machine)
        machine.failedOnce(handle, .portUnreachable, "Connection refused")
        #expect(try output(&machine) == [.error(flow: 5, reason: 1, text: "Connection refused")])
        #expect(try receive(.data(flow: 5, bytes("x")), on: &machine) == [.send(handle, bytes("x"))])
    }

    @Test func theOldestOfTooManyMakesRoom() throws {
        var machine = DatagramMachine()
        var handles: [DatagramMachine.Handle] = []
        for number in 0..<DatagramMachine.maximumFlows {
            handles.append(try open(UInt32(number), on: &machine, at: start + .milliseconds(Int64(number))))
        }
        // The first two are of use still.
        let later = start + .seconds(5)
        _ = try receive(.data(flow: 0, bytes("x")), on: &machine, at: later)
        machine.received(bytes("x"), on: handles[1], now: later)
        _ = try output(&machine)
        let effects = try receive(.open(flow: 9999, host: "h", port: 9), on: &machine, at: later)
        #expect(effects.first == .close(handles[2]))
        #expect(machine.count == DatagramMachine.maximumFlows)
        #expect(try output(&machine) == [.close(flow: 2)])
        #expect(machine.figures.evicted == 1)
        #expect(machine.figures.active == UInt64(DatagramMachine.maximumFlows))
    }

    // MARK: Time

    @Test func silentFlowsEnd() throws {
        var machine = DatagramMachine()
        #expect(machine.nextCheck(now: start) == nil)
        let slow = try open(1, on: &machine)
        let quick = try open(2, port: 53, on: &machine)
        let echo = try handle(
            receive(.echo(flow: 3, host: "h", identifier: 1, sequence: 1, payload: bytes("")), on: &machine))
        #expect(machine.nextCheck(now: start) == start + .seconds(10))
        machine.expire(now: start + .seconds(10) - .nanoseconds(1))
        #expect(machine.count == 3)
        machine.expire(now: start + .seconds(10))
        #expect(machine.nextEffect() == .close(quick))
        #expect(try output(&machine) == [.close(flow: 2)])
        machine.received(bytes("x"), on: slow, now: start + .seconds(59))
        machine.expire(now: start + .seconds(60))
        #expect(machine.nextEffect() == .close(echo))
        machine.expire(now: start + .seconds(118))
        #expect(machine.count == 1)
        machine.expire(now: start + .seconds(119))
        #expect(machine.nextEffect() == .close(slow))
        #expect(machine.nextCheck(now: start) == nil)
    }

    /// A timer that was set for a patient flow is not too late for one that came after it.
    @Test func theNextCheckIsSoon() throws {
        var machine = DatagramMachine()
        _ = try open(1, on: &machine)
        #expect(machine.nextCheck(now: start) == start + .seconds(10))
        #expect(machine.nextCheck(now: start + .seconds(55)) == start + .seconds(60))
    }

    // MARK: Backpressure

    @Test func aClientThatDoesNotReadLosesTheOldest() throws {
        var machine = DatagramMachine()
        let handle = try open(5, on: &machine)
        machine.isBlocked = true
        for number in 0..<(DatagramMachine.maximumQueued + 2) {
            machine.received(bytes("\(number)"), on: handle, now: start)
        }
        #expect(try output(&machine).isEmpty)
        #expect(machine.figures.dropped == 2)
        machine.isBlocked = false
        // In order, also with one that comes now.
        machine.received(bytes("last"), on: handle, now: start)
        let frames = try output(&machine)
        #expect(frames.first == .data(flow: 5, bytes("3")))
        #expect(frames.last == .data(flow: 5, bytes("last")))
        #expect(frames.count == DatagramMachine.maximumQueued)
    }

    @Test func flowsTakeTurns() throws {
        var machine = DatagramMachine()
        let one = try open(1, on: &machine)
        let two = try open(2, on: &machine)
        machine.isBlocked = true
        for _ in 0..<3 { machine.received(bytes("a"), on: one, now: start) }
        machine.received(bytes("b"), on: two, now: start)
        // One that is over leaves no trace.
        let three = try open(3, on: &machine)
        machine.received(bytes("c"), on: three, now: start)
        _ = try receive(.close(flow: 3), on: &machine)
        machine.isBlocked = false
        #expect(
            try output(&machine) == [
                .data(flow: 1, bytes("a")), .data(flow: 2, bytes("b")), .data(flow: 1, bytes("a")),
                .data(flow: 1, bytes("a")),
            ])
    }

    @Test func whatIsKeptHasABound() throws {
        var machine = DatagramMachine()
        let large = ByteBuffer(repeating: 0, count: DatagramMachine.maximumDatagram)
        machine.isBlocked = true
        var handles: [DatagramMachine.Handle] = []
        for number in 0..<40 as Range<UInt32> { handles.append(try open(number, on: &machine)) }
        for _ in 0..<8 {
            for handle in handles { machine.received(large, on: handle, now: start) }
        }
        // Waiting ones count, too.
        _ = try receive(.open(flow: 100, host: "h", port: 9), .data(flow: 100, large), on: &machine)
        machine.isBlocked = false
        let frames = try output(&machine)
        let kept = frames.reduce(0) { if case .data(_, let bytes) = $1 { $0 + bytes.readableBytes } else { $0 } }
        #expect(kept <= DatagramMachine.maximumBytes)
        #expect(kept > DatagramMachine.maximumBytes - large.readableBytes)
        // And all is free again.
        machine.isBlocked = true
        for handle in handles { machine.received(large, on: handle, now: start) }
        machine.isBlocked = false
        #expect(try output(&machine).count == handles.count)
    }

    @Test func errorsAndEndsHaveABoundWhileNobodyReads() throws {
        var machine = DatagramMachine()
        machine.isBlocked = true
        for number in 0..<100_000 { _ = try receive(.data(flow: UInt32(number), bytes("")), on: &machine) }
        machine.isBlocked = false
        let held = machine.takeOutput()?.readableBytes ?? 0
        #expect(held > 0)
        #expect(held <= DatagramMachine.maximumHeldOutput + 1024)
    }

    /// Flows with one number, each with something for a client that does not read.
    @Test func numbersUsedAgainLeaveNothingBehind() throws {
        var machine = DatagramMachine()
        machine.isBlocked = true
        for number in 0..<1000 {
            let handle = try open(5, on: &machine)
            machine.received(bytes("\(number)"), on: handle, now: start)
        }
        machine.isBlocked = false
        #expect(try output(&machine) == [.data(flow: 5, bytes("999"))])
    }

    @Test func errorsAreShort() throws {
        var machine = DatagramMachine()
        let name = String(repeating: "\u{1b}", count: 60_000)
        let handle = try handle(receive(.open(flow: 5, host: name, port: 9), on: &machine))
        machine.failed(handle, .hostUnreachable, name)
        guard case .error(5, 2, let text)? = try output(&machine).first else {
            Issue.record("no error")
            return
        }
        #expect(text.utf8.count < 400)
    }

    @Test func datagramsThatAreTooLongAreDropped() throws {
        var machine = DatagramMachine()
        let handle = try open(5, on: &machine)
        let longest = ByteBuffer(repeating: 0, count: DatagramMachine.maximumDatagram)
        #expect(try receive(.data(flow: 5, longest), on: &machine) == [.send(handle, longest)])
        #expect(
            try receive(
                .data(flow: 5, ByteBuffer(repeating: 0, count: DatagramMachine.maximumDatagram + 1)), on: &machine
            ).isEmpty)
        #expect(machine.figures.dropped == 1)
    }

    // MARK: What breaks the protocol

    @Test(
        arguments: [
            // Too long, too short, of no kind, of the server's kinds, a name that is not all there.
            [0, 1, 0, 0x41, 2, 0, 0, 0, 1], [0, 0, 0, 4, 2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 5, 0, 0, 0, 0, 1],
            [0, 0, 0, 5, 9, 0, 0, 0, 1], [0, 0, 0, 13, 5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
            [0, 0, 0, 9, 6, 0, 0, 0, 1, 0, 1, 0, 1], [0, 0, 0, 9, 1, 0, 0, 0, 1, 0, 0, 0, 9],
            [0, 0, 0, 9, 1, 0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 5, 1, 0, 0, 0, 1],
            [0, 0, 0, 10, 4, 0, 0, 0, 1, 0, 0, 0, 1, 65],
        ] as [[UInt8]])
    func malformedFramesEndTheChannel(frame: [UInt8]) throws {
        var machine = DatagramMachine()
        machine.receive(ByteBuffer(bytes: frame))
        #expect(throws: Disconnect.self) { try machine.next(now: start) }
    }

    @Test func endingLeavesNothing() throws {
        var machine = DatagramMachine()
        for number in 0..<10 as Range<UInt32> { _ = try open(number, on: &machine) }
        machine.endAll()
        #expect(machine.count == 0)
        #expect(machine.nextEffect() == nil)
        #expect(machine.takeFigures().active == 0)
    }
}
