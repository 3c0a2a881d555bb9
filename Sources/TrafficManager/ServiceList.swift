package import ControlAPI
import Synchronization

/// What the API tells of the services, made once for each version of the directory, however many ask.
package final class ServiceList: Sendable {
    private struct State {
        var generation: UInt32?
        var infos: [ServiceInfo] = []
    }

    private let directory: Directory
    private let state = Mutex(State())

    package init(_ directory: Directory) {
        self.directory = directory
    }

    /// By namespace, then name.
    package var infos: [ServiceInfo] {
        let snapshot = directory.snapshot
        return state.withLock { state in
            if state.generation != snapshot.generation {
                state = State(generation: snapshot.generation, infos: snapshot.serviceInfos)
            }
            return state.infos
        }
    }
}
