import CLinux
package import Dispatch
import Glibc
import NIOConcurrencyHelpers
package import NIOCore

/// An event loop for many sockets that are read and written directly: one thread, its sockets, and the memory that they share.
///
/// NIO's event loop in all that has no sockets — futures, timers, tasks of other threads — and less than it in what has:
/// a socket is registered once, edge-triggered, and is read and written by its owner directly. What a turn makes to be
/// written is written once, at its end.
///
/// A turn goes: wait; tell the sources what has become ready; run timers and tasks; flush what the turn has touched.
package final class Reactor: EventLoop, @unchecked Sendable {
    /// One for each processor, for as long as the process lives.
    package static let all: [Reactor] = (0..<max(1, System.coreCount)).map { Reactor(number: $0) }

    private let reactor: CInt
    private let wakeup: CInt
    private var thread = pthread_t()

    /// By descriptor. A number that comes back in the same turn is told apart by its generation.
    @exclusivity(unchecked) private var sources: ContiguousArray<ReactorSource?> = []
    private var generations: ContiguousArray<UInt32> = []
    /// Those that have more to do than one turn allowed, or that wait for the turn's end.
    @exclusivity(unchecked) private var again: ContiguousArray<ReactorSource> = []
    private var againBefore: ContiguousArray<ReactorSource> = []
    @exclusivity(unchecked) private var touched: ContiguousArray<ReactorSource> = []

    private var moderated: ContiguousArray<ReactorSource> = []

    private var timers = TimerQueue()
    private var tasks = CircularBuffer<() -> Void>()
    private let inbox = NIOLockedValueBox<[@Sendable () -> Void]>([])
    private var readiness = ContiguousArray(repeating: clinux_readiness(), count: Int(CLINUX_REACTOR_EVENTS))

    // MARK: Memory

    /// What the sockets' owners keep for all of them on this thread.
    package var attachment: AnyObject?
    /// What clients' sockets are read into: more than this would not fit into the processor's cache, beside what comes of
    /// it.
    @exclusivity(unchecked) package var input = ByteBufferAllocator().buffer(capacity: inputCapacity)
    package static let inputCapacity = 256 << 10
    /// What targets' sockets are read into.
    package let targetInput = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
    /// What sealed bytes are written from. A buffer that the socket has taken whole is used again.
    private var outputs: ContiguousArray<ByteBuffer> = []
    private static let keptOutputs = 8
    /// One that grew beyond this, for a target that did not read, is not kept.
    private static let keptCapacity = 1 << 20

    private init(number: Int) {
        reactor = clinux_reactor_create()
        wakeup = clinux_eventfd()
        precondition(reactor >= 0 && wakeup >= 0, "a process without a descriptor for its event loop cannot go on")
        let argument = Unmanaged.passRetained(self).toOpaque()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                clinux_name_thread("ssh")
                Unmanaged<Reactor>.fromOpaque(argument).takeRetainedValue().run()
            }, argument)
        precondition(code == 0, "a process without a thread for its event loop cannot go on")
    }

    // MARK: Turns

    private func run() -> Never {
        _ = clinux_reactor_add(reactor, wakeup, UInt64.max)
        while true {
            let timeout = timeout()
            swap(&again, &againBefore)
            wait(timeout: timeout)
            readModerated()
            for source in againBefore {
                source.calls -= 1
                source.act()
            }
            againBefore.removeAll(keepingCapacity: true)
            runTimers()
            runTasks()
            flush()
        }
    }

    /// In nanoseconds; -1 is for ever.
    private func timeout() -> Int64 {
        if !again.isEmpty || !tasks.isEmpty { return 0 }
        var deadline = timers.next ?? .distantFuture
        for source in moderated { deadline = min(deadline, source.moderation.deadline) }
        guard deadline < .distantFuture else { return -1 }
        return max(0, (deadline - .now()).nanoseconds)
    }

    private func wait(timeout: Int64) {
        let count = readiness.withUnsafeMutableBufferPointer {
            clinux_reactor_wait(reactor, $0.baseAddress, timeout)
        }
        guard count > 0 else { return }
        for index in 0..<Int(count) {
            let event = readiness[index]
            guard event.data != .max else {
                takeInbox()
                continue
            }
            let descriptor = Int(event.data & 0xffff_ffff)
            guard let source = sources[descriptor], generations[descriptor] == UInt32(event.data >> 32) else {
                continue
            }
            source.ready(event.is)
        }
    }

    private func readModerated() {
        guard !moderated.isEmpty else { return }
        let now = NIODeadline.now()
        // Reading may end the moderation.
        for source in moderated where source.moderation.deadline <= now {
            // It may have other reasons not to read: its time has come once.
            source.didRead(0)
            source.readable()
        }
    }

    private func takeInbox() {
        var count: UInt64 = 0
        _ = read(wakeup, &count, MemoryLayout.size(ofValue: count))
        let new = inbox.withLockedValue { tasks in
            defer { tasks = [] }
            return tasks
        }
        for task in new { tasks.append(task) }
    }

    private func runTimers() {
        guard timers.next != nil else { return }
        let now = NIODeadline.now()
        while let action = timers.popDue(now: now) { action() }
    }

    /// As many as there are now: what they add has its turn later, sockets between.
    private func runTasks() {
        var count = tasks.count
        while count > 0, let task = tasks.popFirst() {
            count -= 1
            task()
        }
    }

    private func flush() {
        // What is written may touch others.
        var index = 0
        while index < touched.count {
            let source = touched[index]
            source.isTouched = false
            source.flushTurn()
            index += 1
        }
        touched.removeAll(keepingCapacity: true)
    }

    // MARK: Sources, on the thread

    /// Begins to watch a source's descriptor. Returns an errno.
    package func add(_ source: ReactorSource) -> CInt {
        let index = Int(source.descriptor)
        while sources.count <= index {
            sources.append(nil)
            generations.append(0)
        }
        let data = UInt64(generations[index]) << 32 | UInt64(index)
        let code = clinux_reactor_add(reactor, source.descriptor, data)
        guard code == 0 else { return -code }
        sources[index] = source
        return 0
    }

    /// The descriptor of one source, which is watched, becomes another's.
    package func replace(_ source: ReactorSource, with next: ReactorSource) {
        sources[Int(source.descriptor)] = next
    }

    /// The descriptor is about to be closed.
    package func remove(_ source: ReactorSource) {
        let index = Int(source.descriptor)
        guard index < sources.count, sources[index] === source else { return }
        sources[index] = nil
        generations[index] &+= 1
    }

    /// The descriptor lives on, and is not watched any more.
    func forget(_ source: ReactorSource) {
        remove(source)
        clinux_reactor_remove(reactor, source.descriptor)
    }

    /// `act()` is called in the next turn.
    package func callAgain(_ source: ReactorSource) {
        source.calls += 1
        again.append(source)
    }

    /// `flushTurn()` is called at the end of this turn.
    package func callAtEnd(_ source: ReactorSource) {
        guard !source.isTouched else { return }
        source.isTouched = true
        touched.append(source)
    }

    /// The source is read also when its deadline comes, or is not any more.
    func setModerated(_ source: ReactorSource, _ isModerated: Bool) {
        if isModerated { moderated.append(source) } else { moderated.removeAll { $0 === source } }
    }

    // MARK: Memory, on the thread

    /// An empty buffer.
    package func takeOutput() -> ByteBuffer {
        guard var buffer = outputs.popLast() else { return ByteBuffer() }
        buffer.clear()
        return buffer
    }

    /// Gives a buffer back whose bytes are written.
    ///
    /// It is cleared when it is taken: only then is it certain that nobody else holds it, without which clearing
    /// allocates.
    package func giveBack(_ buffer: ByteBuffer) {
        guard outputs.count < Self.keptOutputs, buffer.capacity <= Self.keptCapacity else { return }
        outputs.append(buffer)
    }

    // MARK: EventLoop

    package var inEventLoop: Bool { pthread_equal(pthread_self(), thread) != 0 }

    package func execute(_ task: @escaping @Sendable () -> Void) {
        if inEventLoop { return tasks.append(task) }
        let isFirst = inbox.withLockedValue { tasks in
            tasks.append(task)
            return tasks.count == 1
        }
        guard isFirst else { return }
        var one: UInt64 = 1
        _ = write(wakeup, &one, MemoryLayout.size(ofValue: one))
    }

    package func submit<T>(_ task: @escaping @Sendable () throws -> T) -> EventLoopFuture<T> {
        let promise = makePromise(of: T.self)
        execute { promise.assumeIsolated().completeWith(Result(catching: task)) }
        return promise.futureResult
    }

    @discardableResult
    package func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        let promise = makePromise(of: T.self)
        let timer = TimerQueue.Timer(deadline: deadline) {
            promise.assumeIsolated().completeWith(Result(catching: task))
        }
        onThread { self.timers.add(timer) }
        return Scheduled(promise: promise) { self.onThread { self.timers.cancel(timer) } }
    }

    @discardableResult
    package func scheduleTask<T>(in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        scheduleTask(deadline: .now() + delay, task)
    }

    private func onThread(_ task: @escaping @Sendable () -> Void) {
        if inEventLoop { task() } else { execute(task) }
    }

    package func next() -> any EventLoop { self }

    package func makeIterator() -> EventLoopIterator { EventLoopIterator([self]) }

    /// It serves the whole process, to its end.
    package func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        queue.async { callback(EventLoopError.unsupportedOperation) }
    }
}
