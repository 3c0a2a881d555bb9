import ControlAPI
import Testing

@Suite struct DaemonStatusTests {
    private func status(_ state: DaemonStatus.State, healthy: Bool = true) -> DaemonStatus {
        DaemonStatus(
            version: VersionInfo(name: "telepresence-daemon", version: "0.5.0"), name: "default", processID: 1,
            mode: .socks, state: state, manager: "ssh://m:8022", startedAt: 0,
            probes: [
                DaemonProbe(layer: .ssh, isHealthy: true, ageMilliseconds: 1, roundTripMicroseconds: 200),
                DaemonProbe(layer: .api, isHealthy: healthy, ageMilliseconds: 1, error: healthy ? nil : "no answer"),
            ])
    }

    @Test func healthIsWhatStatusExitsWith() {
        #expect(status(.connected).health.rawValue == 0)
        #expect(status(.connected, healthy: false).health.rawValue == 1)
        #expect(status(.connecting).health.rawValue == 1)
        #expect(status(.reconnecting).health.rawValue == 1)
        #expect(status(.ended).health.rawValue == 2)
    }

    @Test func itIsReadAsItWasWritten() throws {
        let status = status(.connected, healthy: false)
        let text = try JSON.encode(status)
        #expect(!text.contains("\n"))
        #expect(try JSON.decode(DaemonStatus.self, from: text) == status)
    }
}
