/// Why a manager does not start: one line, and the exit status that goes with it.
package struct StartFailure: Error, Hashable, CustomStringConvertible {
    package var description: String
    package var exitStatus: Int32

    /// Something in a file or an argument is wrong.
    package static func badInput(_ text: String) -> StartFailure { StartFailure(description: text, exitStatus: 2) }

    /// The input is good, and the machine cannot do it.
    package static func failed(_ text: String) -> StartFailure { StartFailure(description: text, exitStatus: 1) }
}
