import CLinux
import Glibc
import IPPacket
import NIOCore
import Synchronization

/// The tunnel's packets, on a thread of their own: what a burst of them costs is not taken from the SSH sessions' loop.
///
/// States: running → ended, when it is told to stop or the device fails. All of it is used under its lock.
final class TunnelThread: @unchecked Sendable {
    /// Packets between two looks at what the event loop has sent.
    private static let packetsPerTurn = 64

    private let lock = Mutex(())
    private let device: TunnelDevice
    private var machine: TunnelMachine
    private let exchange: TunnelExchange
    private let counters: TunnelCounters
    private let wakeLoop: @Sendable () -> Void
    private var inbox = TunnelMailbox<TunnelAnswer>.Batch()
    private var isStopping = false
    private var failure: CInt?
    private var now: UInt64 = 0

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
        lock.withLock { _ in readClock() }
        while let timeout = lock.withLock({ _ in beginTurn() }) {
            let isWoken = wait(timeout: timeout)
            lock.withLock { _ in endTurn(isWoken: isWoken) }
        }
        lock.withLock { _ in
            post(.ended(errno: failure))
            finishTurn()
        }
    }

    /// Until when to wait, or `nil`: it is over.
    private func beginTurn() -> CInt? {
        let isDrained = readPackets()
        finishTurn()
        guard failure == nil, !isStopping else { return nil }
        return isDrained ? timeout : 0
    }

    private func endTurn(isWoken: Bool) {
        readClock()
        if isWoken { readAnswers() }
        if let deadline = machine.nextDeadline, deadline <= now { machine.expire(now: now) }
        passRequests()
    }

    /// From the event loop, which has just written to an app's end: what it wrote is on the device by now, and is at the app
    /// without the time that it takes to wake the thread. If that is at work already, nothing is lost.
    func pump() {
        _ = lock.withLockIfAvailable { _ in
            guard failure == nil, !isStopping else { return }
            readClock()
            _ = readPackets()
            finishTurn()
        }
    }

    // MARK: Packets

    /// Whether the device has no more for now.
    private func readPackets() -> Bool {
        for _ in 0..<Self.packetsPerTurn {
            switch device.read() {
            case .packet(let packet, let isPartial):
                let effect = machine.receive(packet, isPartial: isPartial, now: now)
                if !machine.requests.isEmpty { passRequests() }
                perform(effect, on: packet)
            case .nothing:
                return true
            case .failed(let code):
                failure = code
                return true
            }
        }
        return false
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

    // MARK: The event loop

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
        exchange.clearWakeup()
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

    /// For poll(): until the machine's next deadline, in milliseconds, rounded up; -1 for ever.
    private var timeout: CInt {
        guard let deadline = machine.nextDeadline else { return -1 }
        guard deadline > now else { return 0 }
        return CInt(clamping: (deadline - now) / 1_000_000 + 1)
    }

    /// Until there are packets, answers, or it is time; whether there are answers.
    private func wait(timeout: CInt) -> Bool {
        withUnsafeTemporaryAllocation(of: pollfd.self, capacity: 2) { entries in
            entries[0] = pollfd(fd: device.descriptor, events: Int16(POLLIN), revents: 0)
            entries[1] = pollfd(fd: exchange.wakeup, events: Int16(POLLIN), revents: 0)
            // Interrupted, it is as if the time was over.
            guard poll(entries.baseAddress, 2, timeout) > 0 else { return false }
            return entries[1].revents != 0
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
