/// What `POST /v1/ingests` answers.
package struct IngestAnswer: Codable, Hashable, Sendable {
    package var ingest: LocalIngest
    package var environment: ProcessEnvironment
    /// Why the files that were asked for are not here, in one line.
    package var mountProblem: String?

    package init(ingest: LocalIngest, environment: ProcessEnvironment, mountProblem: String? = nil) {
        self.ingest = ingest
        self.environment = environment
        self.mountProblem = mountProblem
    }
}
