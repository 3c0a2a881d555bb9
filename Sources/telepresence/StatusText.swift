import ControlAPI
import Glibc

/// A session's status for people.
enum StatusText {
    static func text(_ status: DaemonStatus, now: Int64 = Int64(time(nil))) -> String {
        var lines = [headline(status)]
        func add(_ name: String, _ value: String) {
            lines.append("  " + name + String(repeating: " ", count: max(1, 15 - name.count)) + value)
        }
        if let error = status.error, status.state != .connected { add("Reason:", error) }
        switch status.mode {
        case .full: add("Mode:", "full: this machine is in the cluster")
        case .rootless: add("Mode:", "rootless: commands run by connect --rootless are in the cluster")
        case .socks: add("Mode:", "SOCKS and HTTP proxy on " + list(status.proxies))
        }
        if let transport = status.transport { add("Way:", transport) }
        for probe in status.probes { add(name(probe.layer), text(probe)) }
        if let cluster = status.cluster {
            add("Namespace:", cluster.namespace)
            add("Subnets:", list(cluster.subnets))
            if let also = cluster.alsoProxy, !also.isEmpty { add("Also proxied:", list(also)) }
            if let never = cluster.neverProxy, !never.isEmpty { add("Never proxied:", list(never)) }
            for conflict in cluster.conflicts ?? [] {
                add("Conflict:", conflict.split(separator: "\n").joined(separator: "\n    "))
            }
            add("DNS names:", list([cluster.domain] + cluster.dnsSuffixes.filter { $0 != cluster.domain }))
        }
        add("Traffic:", traffic(status))
        if let since = status.connectedAt { add("Connected:", "for \(duration(now - since)), \(reconnects(status))") }
        if status.state == .connected, let error = status.error { add("Last loss:", error) }
        return lines.joined(separator: "\n")
    }

    /// What a change of state is told with, in one line.
    static func headline(_ status: DaemonStatus) -> String {
        let place = "context \(status.context ?? status.name) (\(status.manager))"
        switch status.state {
        case .connecting: return "Connecting to \(place)"
        case .connected:
            return status.health == .healthy ? "Connected to \(place)" : "Connected to \(place), but not all is well"
        case .reconnecting: return "Reconnecting to \(place)"
        case .ended: return "Not connected: the session with \(place) has ended"
        }
    }

    private static func name(_ layer: DaemonProbe.Layer) -> String {
        switch layer {
        case .transport: "Transport:"
        case .ssh: "SSH:"
        case .api: "API:"
        case .dns: "DNS:"
        case .helper: "Helper:"
        case .tun: "TUN:"
        }
    }

    private static func text(_ probe: DaemonProbe) -> String {
        let age = "\(probe.ageMilliseconds) ms ago"
        if let error = probe.error { return "\(error) (\(age))" }
        guard let time = probe.roundTripMicroseconds else { return "ok (\(age))" }
        return "ok, \(milliseconds(time)) (\(age))"
    }

    private static func milliseconds(_ microseconds: Int64) -> String {
        "\(microseconds / 1000).\(microseconds % 1000 / 100) ms"
    }

    private static func traffic(_ status: DaemonStatus) -> String {
        let channels = status.channels == 1 ? "1 channel" : "\(status.channels) channels"
        let over = status.sshConnections == 1 ? "1 SSH connection" : "\(status.sshConnections) SSH connections"
        return "\(channels) over \(over), \(bytes(status.bytesReceived)) received, \(bytes(status.bytesSent)) sent"
    }

    private static func reconnects(_ status: DaemonStatus) -> String {
        status.reconnects == 1 ? "1 reconnect" : "\(status.reconnects) reconnects"
    }

    private static func bytes(_ count: UInt64) -> String {
        var (value, unit) = (count * 10, 0)
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 10_240, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(count) B" : "\(value / 10).\(value % 10) \(units[unit])"
    }

    private static func duration(_ seconds: Int64) -> String {
        switch max(seconds, 0) {
        case ..<60: "\(max(seconds, 0)) s"
        case ..<3600: "\(seconds / 60) min \(seconds % 60) s"
        case ..<86_400: "\(seconds / 3600) h \(seconds % 3600 / 60) min"
        default: "\(seconds / 86_400) d \(seconds % 86_400 / 3600) h"
        }
    }

    private static func list(_ texts: [String]) -> String { texts.isEmpty ? "none" : texts.joined(separator: ", ") }
}
