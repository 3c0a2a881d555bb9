import ArgumentParser
import Glibc
import Workstation

struct Uninstall: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take agents, or everything, out of a cluster.",
        discussion: """
            Each workload and service gets back what was changed for its agent, and nothing else of it is touched.

            EXAMPLES
              telepresence uninstall --agent hello
              telepresence uninstall --all-agents -n shop
              telepresence uninstall --everything
                  The agents of all namespaces, and the traffic manager.

            EXIT STATUS
              0 it is out; 1 failure; 2 bad input; 3 API server unreachable; 5 credentials refused.
            """)

    @Option(
        name: .long,
        help: ArgumentHelp("A workload to take the agent from: hello, deployment/hello.", valueName: "workload"))
    var agent: [String] = []
    @Flag(name: .long, help: "Take all agents of the namespace out.")
    var allAgents = false
    @Flag(name: .long, help: "Take all agents and the traffic manager out.")
    var everything = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "With --everything, a namespace that install --namespaced gave it; may be repeated.", valueName: "namespace"
        ))
    var namespaced: [String] = []

    @OptionGroup var options: AdministrationOptions

    func validate() throws {
        guard [!agent.isEmpty, allAgents, everything].filter({ $0 }).count == 1 else {
            throw ValidationError("expected one of --agent WORKLOAD, --all-agents and --everything")
        }
    }

    func run() async throws {
        let removed = try await options.run("Taking out", namespaces: namespaced) { cluster in
            if everything {
                try await cluster.uninstall()
                return ["the traffic manager and all traffic-agents"]
            }
            if allAgents { return try await cluster.removeAgents(in: cluster.namespace) }
            var removed: [String] = []
            for name in agent { removed.append(try await cluster.removeAgent(of: name)) }
            return removed
        }
        for one in removed { Exit.write("Uninstalled \(one)\n", to: STDOUT_FILENO) }
        if removed.isEmpty { Exit.write("There is no traffic-agent\n", to: STDERR_FILENO) }
    }
}
