package struct InjectionOptions: Sendable {
    package var image: String
    package var managerHost: String
    package var managerHostKey: String
    package init(image: String, managerHost: String, managerHostKey: String) {
        self.image = image
        self.managerHost = managerHost
        self.managerHostKey = managerHostKey
    }
}
package struct InjectionPlan { package var workload: JSONValue }
package struct InjectionRefusal: Error, CustomStringConvertible {
    package var description: String
    package init(_ d: String) { description = d }
}
package enum AgentInjection {
    package static func plan(workload: JSONValue, services: [JSONValue], options: InjectionOptions) throws -> InjectionPlan { InjectionPlan(workload: workload) }
    package static func serviceChanges(workload: JSONValue, services: [JSONValue]) -> [JSONValue] { [] }
    package static func hasAgent(_ w: JSONValue) -> Bool { false }
    package static func undone(workload: JSONValue) -> JSONValue? { nil }
    package static func undone(service: JSONValue, of: String) -> JSONValue? { nil }
}
