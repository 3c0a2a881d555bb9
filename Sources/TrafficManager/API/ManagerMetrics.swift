package import ControlAPI
package import SSHServer

/// `/metrics`: the names and help texts of everything that is counted.
package enum ManagerMetrics {
    private static let prefix = "telepresence_manager_"

    package static func text(
        statistics: ServerStatistics, datagrams: DatagramFigures = DatagramFigures(), status: ManagerStatus,
        process: ProcessFigures
    ) -> String {
        var text = PrometheusText()
        text.addInfo(
            prefix + "build_info", help: "The version of the manager; always 1.",
            labels: [("version", status.version.version), ("api_version", "\(status.version.apiVersion)")])
        addSSH(statistics, to: &text)
        addDatagrams(datagrams, to: &text)
        addDirectory(status, to: &text)
        addProcess(process, startedAt: status.startedAt, to: &text)
        return text.text
    }

    private static func addSSH(_ statistics: ServerStatistics, to text: inout PrometheusText) {
        text.add(
            prefix + "connections_accepted_total", .counter, help: "Connections accepted on the SSH port.",
            value: statistics.connectionsAccepted)
        text.add(
            prefix + "connections_refused_total", .counter,
            help: "Connections turned away before a byte was exchanged, by reason.", label: "reason",
            known: ["max-startups", "penalty", "shutdown"], values: statistics.connectionsRefused)
        text.add(
            prefix + "authentication_failures_total", .counter, help: "Refused authentication requests, by reason.",
            label: "reason", known: [], values: statistics.authenticationFailures)
        text.addHistogram(
            prefix + "handshake_seconds", help: "Time from accepting a connection until its user is authenticated.",
            bounds: ServerStatistics.handshakeBounds, counts: statistics.handshakeBuckets,
            sum: statistics.handshakeSecondsTotal)
        text.add(
            prefix + "sessions_opened_total", .counter, help: "Sessions that have authenticated.",
            value: statistics.sessionsOpened)
        text.add(prefix + "sessions", .gauge, help: "Sessions open now.", value: statistics.sessionsActive)
        text.add(
            prefix + "channels_opened_total", .counter, help: "Channels that were opened.",
            value: statistics.channelsOpened)
        text.add(prefix + "channels", .gauge, help: "Channels open now.", value: statistics.channelsActive)
        text.add(
            prefix + "channels_refused_total", .counter, help: "Channel opens that were refused, by reason.",
            label: "reason", known: ["permitopen", "prohibited", "connect-failed", "limit", "unknown-type"],
            values: statistics.channelsRefused)
        text.add(
            prefix + "listeners", .gauge, help: "Remote forwards listening now.", value: statistics.listenersActive)
        text.add(
            prefix + "listeners_refused_total", .counter, help: "Remote forwards that were refused.",
            value: statistics.listenersRefused)
        text.add(
            prefix + "received_bytes_total", .counter, help: "Bytes read from SSH connections.",
            value: statistics.bytesReceived)
        text.add(
            prefix + "sent_bytes_total", .counter, help: "Bytes written to SSH connections.",
            value: statistics.bytesSent)
        text.add(
            prefix + "rekeys_total", .counter, help: "Key exchanges after a session's first.",
            value: statistics.rekeys)
    }

    private static func addDatagrams(_ figures: DatagramFigures, to text: inout PrometheusText) {
        text.add(
            prefix + "datagram_flows_opened_total", .counter, help: "Flows of UDP datagrams or echoes that were begun.",
            value: figures.opened)
        text.add(
            prefix + "datagram_flows_evicted_total", .counter, help: "Flows that made room for others.",
            value: figures.evicted)
        text.add(prefix + "datagram_flows", .gauge, help: "Flows open now.", value: figures.active)
        text.add(
            prefix + "datagrams_sent_total", .counter, help: "Datagrams and echoes sent into the cluster.",
            value: figures.datagramsSent)
        text.add(
            prefix + "datagrams_sent_bytes_total", .counter, help: "Bytes of datagrams sent into the cluster.",
            value: figures.bytesSent)
        text.add(
            prefix + "datagrams_received_total", .counter, help: "Datagrams and echoes handed to clients.",
            value: figures.datagramsReceived)
        text.add(
            prefix + "datagrams_received_bytes_total", .counter, help: "Bytes of datagrams handed to clients.",
            value: figures.bytesReceived)
        text.add(
            prefix + "datagrams_dropped_total", .counter, help: "Datagrams, either way, that nobody had room for.",
            value: figures.dropped)
    }

    private static func addDirectory(_ status: ManagerStatus, to text: inout PrometheusText) {
        text.add(
            prefix + "services", .gauge, help: "Services in the directory.", value: UInt64(max(status.services, 0)))
        text.add(
            prefix + "endpoints_ready", .gauge, help: "Endpoints that take connections.",
            value: UInt64(max(status.endpoints.ready, 0)))
        text.add(
            prefix + "endpoints", .gauge, help: "Endpoints in the directory.",
            value: UInt64(max(status.endpoints.total, 0)))
        text.add(
            prefix + "ready", .gauge, help: "1 when the manager serves all it should.",
            value: status.problems.isEmpty ? UInt64(1) : 0)
    }

    /// The names that every Prometheus client library gives to these.
    private static func addProcess(_ process: ProcessFigures, startedAt: Int64, to text: inout PrometheusText) {
        if let bytes = process.residentBytes {
            text.add("process_resident_memory_bytes", .gauge, help: "Resident memory size in bytes.", value: bytes)
        }
        if let count = process.openFileDescriptors {
            text.add("process_open_fds", .gauge, help: "Number of open file descriptors.", value: count)
        }
        if let count = process.maximumFileDescriptors {
            text.add("process_max_fds", .gauge, help: "Maximum number of open file descriptors.", value: count)
        }
        if let seconds = process.cpuSeconds {
            text.add(
                "process_cpu_seconds_total", .counter, help: "Total user and system CPU time spent in seconds.",
                value: seconds)
        }
        text.add(
            "process_start_time_seconds", .gauge, help: "Start time of the process since unix epoch in seconds.",
            value: UInt64(max(startedAt, 0)))
    }
}
