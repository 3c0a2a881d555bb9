import CLinux
import Glibc
import NIOPosix
import Synchronization

/// Tells when the machine's network may have changed under a connection: links, addresses and routes, as the kernel
/// tells of them, and the clock, which jumps when the machine wakes up. Several changes at once are one event.
package final class RouteMonitor: Sendable {
    package enum Event: Hashable, Sendable {
        /// A link, an address or a route came, went or changed; with the names of the devices.
        case network(Set<String>)
        /// The machine slept for that many seconds.
        case wokeUp(Double)
        case clockWasSet
    }

    package let events: AsyncStream<Event>

    private let sink: AsyncStream<Event>.Continuation
    private let thread = NIOThreadPool(numberOfThreads: 1)
    /// To write to when it is over.
    private let stopper: Int32
    private let stopped: Int32
    private let ignored: Mutex<Set<Int32>>

    /// What belongs to one change comes within that time.
    private static let settlingMilliseconds: Int32 = 50

    /// Starts. `ignoring` are the devices of our own, whose coming and going tells nothing.
    package init(ignoring interfaces: Set<Int32> = []) throws {
        ignored = Mutex(interfaces)
        (events, sink) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(16))
        let groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE
        let netlink = try HelperError.check(clinux_netlink(UInt32(groups)), "netlink")
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            close(netlink)
            throw HelperError("a pipe", errno: errno)
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (stopped, stopper) = (ends[0], ends[1])
        // A kernel that cannot tell of the clock can tell of the rest.
        let clock = clinux_clock_watch()
        thread.start()
        thread.submit { [self] _ in watch(netlink, clock) }
    }

    package func ignore(interface index: Int32) { ignored.withLock { _ = $0.insert(index) } }

    /// Ends `events`, too.
    package func stop() { close(stopper) }

    private func watch(_ netlink: Int32, _ clock: Int32) {
        defer {
            sink.finish()
            for descriptor in [netlink, clock, stopped] where descriptor >= 0 { close(descriptor) }
            thread.shutdownGracefully { _ in }
        }
        var asleep = ClockDifference.now
        while true {
            var entries = [netlink, clock, stopped].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&entries, nfds_t(entries.count), -1) >= 0 || errno == EINTR else { return }
            if entries[2].revents != 0 { return }
            if entries[1].revents != 0 {
                _ = clinux_clock_watch_again(clock)
                let now = ClockDifference.now
                sink.yield(now.hasSlept(since: asleep).map { .wokeUp($0) } ?? .clockWasSet)
                asleep = now
            }
            if entries[0].revents != 0, let devices = changes(netlink) { sink.yield(.network(devices)) }
        }
    }

    /// Reads until nothing more comes; nil if all of it was about devices that are ignored.
    private func changes(_ netlink: Int32) -> Set<String>? {
        let ignored = ignored.withLock { $0 }
        var devices: Set<String> = []
        var hasChanged = false
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var entry = pollfd(fd: netlink, events: Int16(POLLIN), revents: 0)
        var rounds = 0
        repeat {
            rounds += 1
            let count = recv(netlink, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            // More than the kernel keeps: something has changed for certain.
            if count < 0 && errno == ENOBUFS { hasChanged = true }
            for message in NetlinkMessage.messages(in: buffer.prefix(max(count, 0))) {
                guard let index = RouteMonitor.interface(of: message), !ignored.contains(index) else { continue }
                hasChanged = true
                var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
                if index > 0, if_indextoname(UInt32(index), &name) != nil {
                    devices.insert(
                        String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
                }
            }
            // A machine whose routes never settle is told of, too.
        } while rounds < 100 && poll(&entry, 1, Self.settlingMilliseconds) > 0
        return hasChanged ? devices : nil
    }

    /// The device a message is about, 0 if it is about none; nil for one that tells of nothing we care for.
    static func interface(of message: NetlinkMessage) -> Int32? {
        switch Int(message.type) {
        case RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR:
            return message.body[...].number(at: 4, as: Int32.self)
        case RTM_NEWROUTE, RTM_DELROUTE:
            // What the kernel remembers of single destinations comes and goes all the time.
            guard message.body[...].number(at: 8, as: UInt32.self) & UInt32(RTM_F_CLONED) == 0 else { return nil }
            return message.attributes(after: 12)[Int(RTA_OIF.rawValue)]?.number(at: 0, as: Int32.self) ?? 0
        default: return nil
        }
    }
}
