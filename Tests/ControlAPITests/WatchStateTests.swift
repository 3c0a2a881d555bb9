import ControlAPI
import Testing

@Suite struct WatchStateTests {
    private func service(_ name: String, ready: Int = 1) -> ServiceInfo {
        ServiceInfo(name: name, namespace: "default", endpoints: .init(ready: ready, total: 2))
    }

    @Test func firstEverythingThenOnlyWhatChanged() {
        var state = WatchState<ServiceInfo, String>(id: \.name)
        #expect(
            state.update(to: [service("b"), service("a")]) == [
                WatchEvent(.added, service("a")), WatchEvent(.added, service("b")),
            ])
        #expect(state.update(to: [service("a"), service("b")]).isEmpty)
        #expect(
            state.update(to: [service("b", ready: 0), service("c")]) == [
                WatchEvent(.deleted, service("a")),
                WatchEvent(.modified, service("b", ready: 0)),
                WatchEvent(.added, service("c")),
            ])
        #expect(state.update(to: []).map(\.type) == [.deleted, .deleted])
    }

    @Test func aSlowReaderMissesOnlyWhatWasUndone() {
        var state = WatchState<ServiceInfo, String>(id: \.name)
        _ = state.update(to: [service("a")])
        // Away and back between two looks: nothing to tell.
        #expect(state.update(to: [service("a")]).isEmpty)
    }

    @Test func whatDoesNotDifferIsToldOnceItDoes() {
        func session(channels: Int, bytes: UInt64) -> SessionInfo {
            SessionInfo(id: 1, user: "ada", channels: channels, bytesSent: bytes)
        }
        var state = WatchState<SessionInfo, UInt64>(id: \.id, differs: { $0.channels != $1.channels })
        _ = state.update(to: [session(channels: 1, bytes: 0)])
        #expect(state.update(to: [session(channels: 1, bytes: 900)]).isEmpty)
        #expect(
            state.update(to: [session(channels: 2, bytes: 901)]) == [
                WatchEvent(.modified, session(channels: 2, bytes: 901))
            ])
    }
}
