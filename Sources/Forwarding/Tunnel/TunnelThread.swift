import CLinux
import Glibc
import IPPacket
import NIOCore
import Synchronization

/// The tunnel's packets, on a thread of their own: what a burst of them costs is not taken from the SSH sessions' loop.
///
/// States: thread in charge ⇄ loop in charge → ended, when it is told to stop or the device fails. While little comes
/// from the device the event loop reads it (`TunnelWatch`): for a single packet, waking another thread costs more than
/// the packet. All of it is used under its lock.
final class TunnelThread: @unchecked Sendable {
    /// Packets between two looks at what the event loop has sent.
    private static let packetsPerTurn = 64
    /// What is little and what is much is judged by what comes in this time.
    private static let window: UInt64 = 2_000_000
    /// Bytes in a window from which on the thread is in charge: 128 MB/s.
    private static let much = 256 << 10
    /// Bytes in a window below which the loop is: far enough from `much` that they do not take turns.
    private static let little = 64 << 10
    /// Microseconds between two turns of a busy thread: what an app waits longer for its bytes, at most.
    private static let rest: UInt32 = 100

    private let lock = Mutex(())
    private let device: TunnelDevice
    private var machine: TunnelMachine
    private let exchange: TunnelExchange
    private let counters: TunnelCounters
    private let wakeLoop: @Sendable () -> Void
    private var inbox = ThreadMailbox<TunnelAnswer>.Batch()
    private var isStopping = false
    private var failure: CInt?
    private var now: UInt64 = 0
    private var windowStart: UInt64 = 0
    private var windowBytes = 0
    /// Cleared when the loop cannot watch the device.
    private var isWatchable = false
    /// When the thread wakes by itself.
    private var wakesAt = UInt64.max

    // Plain numbers for the hot path; they become the counters' once a turn.
    private var sentPackets: UInt64 = 0
    private var sentBytes: UInt64 = 0
    private var receivedPackets: UInt64 = 0
    private var receivedBytes: UInt64 = 0
    private var droppedPackets: UInt64 = 0

    private init(
        device: consuming TunnelDevice, v4: TunnelLink?, v6: TunnelLink?, exchange: TunnelExchange,
        counters: TunnelCounters, wakeLoop: @escaping @Sendable () -> Void
    ) {
        self.device = device
        machine = TunnelMachine(v4: v4, v6: v6)
        self.exchange = exchange
        self.counters = counters
        self.wakeLoop = wakeLoop
    }

    /// Starts it; it ends after `TunnelAnswer.stop`, and says so by `TunnelMessage.ended`. `wakeLoop` makes the event
    /// loop look at its messages. Throws an errno.
    static func start(
        device: consuming TunnelDevice, v4: TunnelLink?, v6: TunnelLink?, exchange: TunnelExchange,
        counters: TunnelCounters, wakeLoop: @escaping @Sendable () -> Void
    ) throws(TunnelDevice.ErrorNumber) -> TunnelThread {
        let tunnel = TunnelThread(
            device: device, v4: v4, v6: v6, exchange: exchange, counters: counters, wakeLoop: wakeLoop)
        let argument = Unmanaged.passRetained(tunnel).toOpaque()
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                clinux_name_thread("tunnel")
                Unmanaged<TunnelThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument)
        guard code == 0 else {
            Unmanaged<TunnelThread>.fromOpaque(argument).release()
            throw TunnelDevice.ErrorNumber(code: code)
        }
        pthread_detach(thread)
        return tunnel
    }

    private func run() {
        lock.withLock { _ in
            readClock()
            windowStart = now
        }
        while let turn = lock.withLock({ _ in beginTurn() }) {
            // Much comes: a moment later there is more of it to a turn.
            if turn.readsDevice, turn.timeout != 0, turn.isBusy { usleep(Self.rest) }
            let isWoken = wait(turn)
            lock.withLock { _ in endTurn(isWoken: isWoken) }
        }
        lock.withLock { _ in
            post(.ended(errno: failure))
            finishTurn()
        }
    }

    private struct Turn {
        var timeout: CInt
        var readsDevice: Bool
        var isBusy = false
    }

    /// What to wait for, or `nil`: it is over.
    private func beginTurn() -> Turn? {
        let isInCharge = !isLoopInCharge
        let isDrained = isInCharge ? readPackets() : true
        finishTurn()
        guard failure == nil, !isStopping else { return nil }
        wakesAt = machine.nextDeadline ?? .max
        guard isInCharge else { return Turn(timeout: timeout(wakesAt), readsDevice: false) }
        if isWatchable { wakesAt = min(wakesAt, windowStart &+ Self.window) }
        return Turn(
            timeout: isDrained ? timeout(wakesAt) : 0, readsDevice: true, isBusy: windowBytes > Self.little)
    }

    private func endTurn(isWoken: Bool) {
        readClock()
        if isWoken {
            exchange.clearWakeup()
            readAnswers()
        }
        if let deadline = machine.nextDeadline, deadline <= now { machine.expire(now: now) }
        passRequests()
        guard isWatchable, !isLoopInCharge, isWindowOver else { return }
        if windowBytes < Self.little {
            exchange.isLoopInCharge.store(true, ordering: .releasing)
            post(.quiet)
        }
        beginWindow()
    }

    // MARK: The event loop in charge

    private var isLoopInCharge: Bool { exchange.isLoopInCharge.load(ordering: .relaxed) }
    private var isWindowOver: Bool { now &- windowStart >= Self.window }

    private func beginWindow() {
        windowStart = now
        windowBytes = 0
    }

    /// The descriptor, for a `TunnelWatch`.
    var descriptor: CInt { lock.withLock { _ in device.descriptor } }

    /// From now on the event loop can watch the device, or not any more.
    func setWatchable(_ isWatchable: Bool) {
        lock.withLock { _ in
            self.isWatchable = isWatchable
            takeCharge()
        }
    }

    private func takeCharge() {
        readClock()
        beginWindow()
        exchange.isLoopInCharge.store(false, ordering: .releasing)
        exchange.wakeThread()
    }

    /// A packet that the event loop has read, and those that came with it. Whether the loop is in charge still.
    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        lock.withLock { _ in
            readClock()
            if isWindowOver { beginWindow() }
            accept(device.read(bytes))
            let isDrained = readPackets()
            endLoopTurn()
            if !isDrained || failure != nil || windowBytes > Self.much { takeCharge() }
            return isLoopInCharge
        }
    }

    /// There are answers, and the loop is in charge.
    func answer() {
        lock.withLock { _ in
            readClock()
            readAnswers()
            endLoopTurn()
            if isStopping { exchange.wakeThread() }
        }
    }

    private func endLoopTurn() {
        passRequests()
        finishTurn()
        // The thread keeps the time.
        if let deadline = machine.nextDeadline, deadline < wakesAt {
            wakesAt = deadline
            exchange.wakeThread()
        }
    }

    // MARK: Packets

    /// Whether the device has no more for now.
    private func readPackets() -> Bool {
        for _ in 0..<Self.packetsPerTurn {
            guard accept(device.read()) else { return true }
        }
        return false
    }

    /// Whether it is a packet.
    @discardableResult
    private func accept(_ result: TunnelDevice.ReadResult) -> Bool {
        switch result {
        case .packet(let packet, let isPartial):
            windowBytes &+= packet.count
            let effect = machine.receive(packet, isPartial: isPartial, now: now)
            if !machine.requests.isEmpty { passRequests() }
            perform(effect, on: packet)
            return true
        case .nothing:
            return false
        case .failed(let code):
            failure = code
            return false
        }
    }

    private func perform(_ effect: TunnelEffect, on packet: UnsafeMutableRawBufferPointer) {
        switch effect {
        case .none:
            droppedPackets &+= 1
        case .held:
            break
        case .toListener:
            sentPackets &+= 1
            sentBytes &+= UInt64(packet.count)
            device.writeBack(packet)
        case .toApp:
            receivedPackets &+= 1
            receivedBytes &+= UInt64(packet.count)
            device.writeBack(packet)
        case .answer(let answer):
            device.write(answer)
        case .datagram(let id, let payload):
            sentPackets &+= 1
            sentBytes &+= UInt64(packet.count)
            post(.datagram(id, length: payload.count), payload)
        case .echo(let id, let address, let identifier, let sequence, let payload):
            sentPackets &+= 1
            sentBytes &+= UInt64(packet.count)
            post(.echo(id, address, identifier: identifier, sequence: sequence, length: payload.count), payload)
        }
    }

    // MARK: Messages and answers

    private func passRequests() {
        for request in machine.requests { post(.request(request)) }
        machine.requests.removeAll(keepingCapacity: true)
    }

    private func post(_ message: TunnelMessage) {
        if exchange.messages.post(message) { wakeLoop() }
    }

    private func post(_ message: TunnelMessage, _ bytes: UnsafeRawBufferPointer) {
        if exchange.messages.post(message, bytes) { wakeLoop() }
    }

    private func readAnswers() {
        exchange.answers.take(&inbox)
        inbox.bytes.withUnsafeReadableBytes { bytes in
            var offset = 0
            func next(_ length: Int) -> UnsafeRawBufferPointer {
                defer { offset += length }
                return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + length)])
            }
            for answer in inbox.messages {
                switch answer {
                case .dialed(let id, let outcome):
                    write(machine.dialed(id, outcome, now: now))
                case .released(let id):
                    machine.released(id, now: now)
                case .datagram(let id, let length):
                    deliver(machine.received(next(length), on: id, now: now))
                case .echo(let id, let identifier, let sequence, let length):
                    deliver(
                        machine.echoed(next(length), identifier: identifier, sequence: sequence, on: id, now: now))
                case .failed(let id, let error):
                    write(machine.failed(id, error, now: now))
                case .closed(let id):
                    machine.closed(id)
                case .stop:
                    isStopping = true
                }
            }
        }
    }

    private func write(_ effect: TunnelEffect) {
        if case .answer(let packet) = effect { device.write(packet) }
    }

    private func deliver(_ effect: TunnelEffect) {
        guard case .answer(let packet) = effect else {
            droppedPackets &+= 1
            return
        }
        receivedPackets &+= 1
        receivedBytes &+= UInt64(packet.count)
        device.write(packet)
    }

    // MARK: Waiting

    private func readClock() {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        now = UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// For poll(): until `deadline`, in milliseconds, rounded up; -1 for ever.
    private func timeout(_ deadline: UInt64) -> CInt {
        guard deadline != .max else { return -1 }
        guard deadline > now else { return 0 }
        return CInt(clamping: (deadline - now) / 1_000_000 + 1)
    }

    /// Until there are packets, answers, or it is time; whether there are answers.
    private func wait(_ turn: Turn) -> Bool {
        withUnsafeTemporaryAllocation(of: pollfd.self, capacity: 2) { entries in
            entries[0] = pollfd(fd: exchange.wakeup, events: Int16(POLLIN), revents: 0)
            entries[1] = pollfd(fd: device.descriptor, events: Int16(POLLIN), revents: 0)
            // Interrupted, it is as if the time was over.
            guard poll(entries.baseAddress, turn.readsDevice ? 2 : 1, turn.timeout) > 0 else { return false }
            return entries[0].revents != 0
        }
    }

    private func finishTurn() {
        counters.sentPackets.store(sentPackets, ordering: .relaxed)
        counters.sentBytes.store(sentBytes, ordering: .relaxed)
        counters.receivedPackets.store(receivedPackets, ordering: .relaxed)
        counters.receivedBytes.store(receivedBytes, ordering: .relaxed)
        counters.droppedPackets.store(droppedPackets, ordering: .relaxed)
        counters.tcpFlows.store(machine.tcpFlowCount, ordering: .relaxed)
        counters.datagramFlows.store(machine.datagramFlowCount, ordering: .relaxed)
    }
}
