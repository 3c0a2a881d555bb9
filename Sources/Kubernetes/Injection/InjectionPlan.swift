package import ControlAPI

/// A workload with an agent, and the services that are to lead to it once every replica has one.
package struct InjectionPlan: Hashable, Sendable {
    package var workload: JSONValue
    /// Those that change.
    package var services: [JSONValue]
    package var ports: [AgentHello.Port]
}
