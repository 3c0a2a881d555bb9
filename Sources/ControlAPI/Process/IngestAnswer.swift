/// What `POST /v1/ingests` answers.
package struct IngestAnswer: Codable, Hashable, Sendable {
    package var ingest: LocalIngest
    package var environment: ProcessEnvironment
    /// Why the files that were asked for are not here, in one line.
    package var mountProblem: String?
    /// The place that was asked for is none, rather than anything having failed.
    package var isMountBadInput: Bool?

    package init(ingest: LocalIngest, environment: ProcessEnvironment) {
        self.ingest = ingest
        self.environment = environment
    }
}
