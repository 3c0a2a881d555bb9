/// What is wrong in a file that somebody wrote: one line that names the place and what should stand there.
package struct InputError: Error, Hashable, Sendable, CustomStringConvertible {
    package var location: SourceLocation
    package var problem: String
    package var expected: String

    package init(location: SourceLocation, problem: String, expected: String) {
        self.location = location
        self.problem = problem
        self.expected = expected
    }

    /// `FILE:LINE: what; expected …`
    package var description: String { "\(location): \(problem); expected \(expected)" }
}
