import Glibc
package import Kubernetes
package import NIOCore
package import NIOPosix
import Synchronization

/// Looks names up as the host does (getaddrinfo), on threads of its own: a lookup may take as long as
/// resolv.conf(5) lets it, and an event loop must not wait.
package final class SystemResolver: Sendable {
    package struct Failure: Error, Hashable, CustomStringConvertible {
        package var description: String
        /// Too much is asked at once, rather than anything being wrong with the name.
        package var isBusy = false
    }

    package typealias Lookup = @Sendable (String) throws -> [IPAddress]

    /// Lookups that run or wait. At 10 s each on 4 threads the last one has long been given up.
    package static let maximumPending = 64
    /// As long as a connection may take.
    package static let timeout = TimeAmount.seconds(10)
    package static let maximumAddresses = 16
    package static let threads = 4

    private let pool: NIOThreadPool
    private let pending = Mutex(0)
    private let lookup: Lookup
    private let timeout: TimeAmount

    /// - Parameters:
    ///   - pool: Must be running.
    ///   - timeout: How long anyone waits for an answer.
    ///   - lookup: What is run for a name; it may block.
    package init(
        pool: NIOThreadPool, timeout: TimeAmount = SystemResolver.timeout,
        lookup: @escaping Lookup = { try SystemResolver.getAddresses($0) }
    ) {
        self.pool = pool
        self.timeout = timeout
        self.lookup = lookup
    }

    /// The addresses of a name in the order to try (RFC 6724); never an empty list.
    package func resolve(_ name: String, on eventLoop: any EventLoop) -> EventLoopFuture<[IPAddress]> {
        let isAccepted = pending.withLock { pending in
            guard pending < Self.maximumPending else { return false }
            pending += 1
            return true
        }
        guard isAccepted else {
            return eventLoop.makeFailedFuture(Failure(description: "too many names are being looked up", isBusy: true))
        }
        let promise = eventLoop.makePromise(of: [IPAddress].self)
        let winner = Winner()
        let deadline = eventLoop.scheduleTask(in: timeout) {
            if winner.claim() { promise.fail(Failure(description: "the lookup took too long")) }
        }
        pool.runIfActive(eventLoop: eventLoop) { [lookup, self] in
            defer { pending.withLock { $0 -= 1 } }
            return try lookup(name)
        }.whenComplete { result in
            deadline.cancel()
            if winner.claim() { promise.completeWith(result) }
        }
        return promise.futureResult
    }

    /// The first of two callbacks completes the promise.
    private final class Winner: Sendable {
        private let isClaimed = Mutex(false)

        func claim() -> Bool {
            isClaimed.withLock { isClaimed in
                defer { isClaimed = true }
                return !isClaimed
            }
        }
    }

    /// Blocks.
    package static func getAddresses(_ name: String) throws -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, nil, &hints, &list)
        guard status == 0 else {
            throw Failure(description: gai_strerror(status).map { String(cString: $0) } ?? "error \(status)")
        }
        defer { freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var next = list
        while let entry = next, addresses.count < maximumAddresses {
            if let address = IPAddress(entry.pointee), !addresses.contains(address) { addresses.append(address) }
            next = entry.pointee.ai_next
        }
        guard !addresses.isEmpty else { throw Failure(description: "it has no address") }
        return addresses
    }
}

extension IPAddress {
    /// Through the text form, which is the same for each family. A zone says nothing of where the address is.
    fileprivate init?(_ entry: addrinfo) {
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        guard
            getnameinfo(
                entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
        else { return nil }
        let bytes = text.prefix { $0 != 0 && $0 != CChar(UInt8(ascii: "%")) }.map(UInt8.init(bitPattern:))
        self.init(String(decoding: bytes, as: UTF8.self))
    }
}
