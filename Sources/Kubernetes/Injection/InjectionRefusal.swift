/// Why a workload gets no agent: one line.
package struct InjectionRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}
