import ArgumentParser
import Glibc
import Kubernetes
import Workstation

struct PortForwardCommand: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        commandName: "port-forward",
        abstract: "Carry ports of this machine to a pod, by the API server alone.",
        discussion: """
            As kubectl's: without a manager, to one pod, until it is interrupted. In the first form of port-forward that \
            the API server takes: SPDY, WebSocket, SPDY over WebSocket.

            EXAMPLES
              telepresence port-forward hello-5d8f7c9b6-x2x4q 8080
              telepresence port-forward service/hello 8000:80
              telepresence port-forward deploy/hello :8080
                  A free port of this machine.
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The namespace; that of the kubeconfig's context if not given.", valueName: "namespace"))
    var namespace: String?
    @Option(
        name: .long, help: ArgumentHelp("Listen there; localhost is 127.0.0.1 and ::1.", valueName: "address"))
    var address = "localhost"
    /// For measurements: one of them alone.
    @Option(name: .long, help: .hidden) var form: PortForwardForm?
    @OptionGroup(title: "Kubernetes") var cluster: ClusterOptions
    @Argument(help: ArgumentHelp("A pod, or what has pods.", valueName: "pod|type/name")) var target: String
    @Argument(help: ArgumentHelp("Ports of this machine, and of the pod.", valueName: "[local:]port"))
    var ports: [String]

    private func pairs() throws -> [(near: UInt16, far: UInt16)] {
        try ports.map { text in
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let far = UInt16(parts.last ?? "") ?? 0
            let near: UInt16? = parts.count == 1 ? far : UInt16(parts[0].isEmpty ? "0" : parts[0])
            guard far > 0, let near else {
                throw ValidationError("'\(text.shown)': expected PORT, LOCAL:PORT or :PORT")
            }
            return (near, far)
        }
    }

    func validate() throws {
        _ = try pairs()
        if let namespace, let problem = ConfigValue.namespace(namespace) {
            throw ValidationError("--namespace '\(namespace.shown)': \(problem)")
        }
    }

    func run() async throws {
        var overrides = cluster.overrides
        overrides.namespace = namespace
        let settings = try ClusterSettings(overrides: overrides)
        let forwarder = try await PodForwarder.find(
            target, settings, forms: form.map { [$0] } ?? PortForwardForm.fastestFirst)
        for (near, far) in try pairs() {
            let target = try forwarder.port(far)
            for address in address == "localhost" ? ["127.0.0.1", "::1"] : [address] {
                do {
                    let port = try await forwarder.listen(address, near, to: target) {
                        Exit.write("telepresence: \($0)\n", to: STDERR_FILENO)
                    }
                    let host = address.contains(":") ? "[\(address)]" : address
                    Exit.write("Forwarding from \(host):\(port) -> \(target)\n", to: STDOUT_FILENO)
                } catch {
                    // Not every machine has IPv6.
                    guard self.address == "localhost", address == "::1" else {
                        throw Failure("\(address):\(near): \(error)")
                    }
                }
            }
        }
        // A signal ends it.
        while !Task.isCancelled { try await Task.sleep(for: .seconds(3600)) }
    }
}

extension PortForwardForm: ExpressibleByArgument {}
