import ArgumentParser
import ControlAPI
import Glibc
import Workstation

struct List: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the workloads, and who intercepts them.",
        discussion: """
            EXAMPLES
              telepresence list
              telepresence list --output json
              telepresence list --watch
            """)

    @OptionGroup var session: SessionOptions

    @Option(name: .shortAndLong, help: ArgumentHelp("Only those of one namespace.", valueName: "namespace"))
    var namespace: String?

    @Flag(name: .long, help: "Go on, and print again what has changed.")
    var watch = false

    @OptionGroup var format: OutputOptions

    func run() async throws {
        let client = try session.client()
        var before: String?
        while true {
            let text = try await text(client)
            if text != before { Exit.write(text, to: STDOUT_FILENO) }
            before = text
            guard watch else { return }
            try await Task.sleep(for: .seconds(1))
        }
    }

    private func text(_ client: DaemonClient) async throws -> String {
        let workloads = try await client.workloads().filter { namespace == nil || $0.namespace == namespace }
        if format.output == .json { return try JSON.encode(ItemList(workloads)) + "\n" }
        guard !workloads.isEmpty else { return "No workloads\n" }
        let own = try await client.intercepts()
        let ingests = try await client.ingests()
        let width = workloads.map { $0.name.count }.max() ?? 0
        return workloads.map { workload in
            let name = workload.name + String(repeating: " ", count: width - workload.name.count)
            let had = ingests.filter { $0.workload == workload.name && $0.namespace == workload.namespace }
            return "\(name): \(InterceptText.state(workload, own: own))\n" + had.compactMap(InterceptText.had).joined()
        }.joined()
    }
}
