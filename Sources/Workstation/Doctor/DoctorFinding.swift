/// What one check found, and what to do about it.
package struct DoctorFinding: Codable, Hashable, Sendable {
    package enum Verdict: String, Codable, Hashable, Sendable {
        case ok
        /// One of the ways into the cluster is closed, or something is odd; the rest works.
        case warning
        case problem
    }

    package var check: String
    package var verdict: Verdict
    package var text: String
    /// What to do; absent when all is well.
    package var advice: String?

    package init(_ check: String, _ verdict: Verdict, _ text: String, advice: String? = nil) {
        self.check = check
        self.verdict = verdict
        self.text = text
        self.advice = advice
    }
}
