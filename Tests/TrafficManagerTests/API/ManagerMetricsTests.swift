import ControlAPI
import SSHServer
import Testing

@testable import TrafficManager

@Suite struct ManagerMetricsTests {
    private func status(problems: [String] = []) -> ManagerStatus {
        ManagerStatus(
            version: ManagerVersion.info, startedAt: 1_700_000_000, uptimeSeconds: 5, egress: "cluster",
            services: 3, endpoints: .init(ready: 4, total: 5), problems: problems)
    }

    /// Every figure of the statistics has another value, so that none can stand in another's place.
    private var statistics: ServerStatistics {
        var statistics = ServerStatistics()
        statistics.connectionsAccepted = 101
        statistics.connectionsRefused = ["penalty": 102]
        statistics.authenticationFailures = ["publickey": 103]
        statistics.sessionsOpened = 104
        statistics.sessionsActive = 105
        statistics.channelsOpened = 106
        statistics.channelsActive = 107
        statistics.channelsRefused = ["permitopen": 108, "a \"new\" \\ one\n": 109]
        statistics.listenersActive = 110
        statistics.listenersRefused = 111
        statistics.bytesReceived = 112
        statistics.bytesSent = .max
        statistics.rekeys = 114
        statistics.handshakeBuckets[0] = 2
        statistics.handshakeBuckets[3] = 1
        statistics.handshakeBuckets[ServerStatistics.handshakeBounds.count - 1] = 1
        statistics.handshakeSecondsTotal = 3.25
        return statistics
    }

    private var datagrams: DatagramFigures {
        var figures = DatagramFigures()
        figures.opened = 201
        figures.closed = 100
        figures.evicted = 203
        figures.datagramsSent = 204
        figures.bytesSent = 205
        figures.datagramsReceived = 206
        figures.bytesReceived = 207
        figures.dropped = 208
        return figures
    }

    @Test func everyFigureIsUnderItsName() throws {
        let metrics = try PrometheusReader(
            ManagerMetrics.text(statistics: statistics, datagrams: datagrams, status: status(), process: .read()))
        let prefix = "telepresence_manager_"
        let expected: [(String, Double)] = [
            ("connections_accepted_total", 101), ("connections_refused_total{reason=\"penalty\"}", 102),
            ("connections_refused_total{reason=\"max-startups\"}", 0),
            ("authentication_failures_total{reason=\"publickey\"}", 103), ("sessions_opened_total", 104),
            ("sessions", 105), ("channels_opened_total", 106), ("channels", 107),
            ("channels_refused_total{reason=\"permitopen\"}", 108),
            ("channels_refused_total{reason=\"a \\\"new\\\" \\\\ one\\n\"}", 109),
            ("channels_refused_total{reason=\"limit\"}", 0), ("listeners", 110), ("listeners_refused_total", 111),
            ("received_bytes_total", 112), ("sent_bytes_total", Double(UInt64.max)), ("rekeys_total", 114),
            ("services", 3), ("endpoints_ready", 4), ("endpoints", 5), ("ready", 1),
            ("handshake_seconds_bucket{le=\"0.005\"}", 2), ("handshake_seconds_bucket{le=\"0.05\"}", 3),
            ("handshake_seconds_bucket{le=\"2.5\"}", 3), ("handshake_seconds_bucket{le=\"+Inf\"}", 4),
            ("datagram_flows_opened_total", 201), ("datagram_flows", 101), ("datagram_flows_evicted_total", 203),
            ("datagrams_sent_total", 204), ("datagrams_sent_bytes_total", 205), ("datagrams_received_total", 206),
            ("datagrams_received_bytes_total", 207), ("datagrams_dropped_total", 208),
            ("handshake_seconds_count", 4), ("handshake_seconds_sum", 3.25),
        ]
        for (name, value) in expected {
            #expect(metrics.samples[prefix + name] == value, "\(name)")
        }
        #expect(metrics.types[prefix + "sent_bytes_total"] == "counter")
        #expect(metrics.types[prefix + "sessions"] == "gauge")
        #expect(metrics.types[prefix + "handshake_seconds"] == "histogram")
    }

    @Test func theProcessIsMeasured() throws {
        let metrics = try PrometheusReader(
            ManagerMetrics.text(statistics: .init(), status: status(problems: ["no"]), process: .read()))
        #expect(try #require(metrics.samples["process_resident_memory_bytes"]) > 1_000_000)
        #expect(try #require(metrics.samples["process_open_fds"]) >= 3)
        #expect(try #require(metrics.samples["process_max_fds"]) >= 3)
        #expect(try #require(metrics.samples["process_cpu_seconds_total"]) > 0)
        #expect(metrics.samples["process_start_time_seconds"] == 1_700_000_000)
        #expect(metrics.samples["telepresence_manager_ready"] == 0)
    }
}

/// Reads the text format 0.0.4 as strictly as `promtool check metrics`.
struct PrometheusReader {
    struct Violation: Error {
        var line: String
        var rule: String
    }

    private(set) var types: [String: String] = [:]
    private(set) var samples: [String: Double] = [:]

    init(_ text: String) throws {
        guard text.hasSuffix("\n") else { throw Violation(line: "", rule: "the last line ends") }
        var helped: Set<String> = []
        var current = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init) {
            func violated(_ rule: String) -> Violation { Violation(line: line, rule: rule) }
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            if line.hasPrefix("# HELP ") {
                guard words.count == 4 else { throw violated("help has a text") }
                guard helped.insert(words[2]).inserted else { throw violated("help once") }
                current = words[2]
            } else if line.hasPrefix("# TYPE ") {
                guard words.count == 4, words[2] == current else { throw violated("type follows help") }
                guard ["counter", "gauge", "histogram"].contains(words[3]) else { throw violated("known type") }
                guard types.updateValue(words[3], forKey: current) == nil else { throw violated("type once") }
                guard (words[3] == "counter") == current.hasSuffix("_total") else {
                    throw violated("counters, and only they, end in _total")
                }
            } else {
                let pattern = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-z_]+="([^"\\]|\\["\\n])*",?)+\})? (\S+)$/
                guard let match = line.wholeMatch(of: pattern),
                    let value = Double(match.5.replacing("Inf", with: "inf"))
                else { throw violated("a sample") }
                let name = String(match.1)
                let family =
                    types[current] == "histogram"
                    ? [current + "_bucket", current + "_sum", current + "_count"] : [current]
                guard family.contains(name) else { throw violated("samples follow their type") }
                guard samples.updateValue(value, forKey: name + (match.2.map(String.init) ?? "")) == nil else {
                    throw violated("a sample once")
                }
            }
        }
        guard helped == Set(types.keys) else { throw Violation(line: "", rule: "help and type for each") }
    }
}
