/// Which session a new channel goes to, and when a further session pays. Pure.
///
/// A channel never waits for another's answer while a session may be added, and it is kept off a session that moves
/// bulk data while there is, or may be, one that does not.
enum PoolPlacement {
    struct Session: Equatable {
        var canOpenAtOnce: Bool
        var bulkFlows: Int
        var flows: Int
    }

    struct Decision: Equatable {
        /// The place of the session to use now; `nil`: wait.
        var use: Int?
        var addsSession: Bool
    }

    static func place(_ sessions: [Session], starting: Int, limit: Int) -> Decision {
        let mayAdd = sessions.count + starting < limit
        let candidates = sessions.indices.filter { sessions[$0].canOpenAtOnce }
        let best = candidates.min { first, second in
            (sessions[first].bulkFlows, sessions[first].flows) < (sessions[second].bulkFlows, sessions[second].flows)
        }
        guard let best else { return Decision(use: nil, addsSession: mayAdd && starting == 0) }
        return Decision(use: best, addsSession: sessions[best].bulkFlows > 0 && mayAdd && starting == 0)
    }
}
