/// What `telepresence intercept` and `wiretap` ask the daemon for: `POST /v1/intercepts`.
package struct InterceptRequest: Codable, Hashable, Sendable {
    package var workload: String
    package var namespace: String?
    /// The service whose port is meant, where it is not named after the workload.
    package var service: String?
    /// The service's port: a number or a name; `nil` for the only one.
    package var servicePort: String?
    package var isDatagram: Bool
    /// The app's container is not there meanwhile.
    package var isReplacing: Bool = false
    /// Packets to the app's own port are led to the agent, where a service is headless.
    package var isRedirecting: Bool = false
    /// Of the workload's containers, the one whose port is meant.
    package var container: String?
    /// Where the traffic goes, on this machine or near it.
    package var host: String
    package var port: UInt16
    package var mode: InterceptSpec.Mode
    package var filter: InterceptFilter
    package var isProtected: Bool
    package var takesProbes: Bool

    package init(
        workload: String, namespace: String? = nil, service: String? = nil, servicePort: String? = nil,
        isDatagram: Bool = false, container: String? = nil, host: String = "127.0.0.1", port: UInt16,
        mode: InterceptSpec.Mode = .intercept,
        filter: InterceptFilter = InterceptFilter(), isProtected: Bool = false, takesProbes: Bool = false
    ) {
        self.workload = workload
        self.namespace = namespace
        self.service = service
        self.servicePort = servicePort
        self.isDatagram = isDatagram
        self.container = container
        self.host = host
        self.port = port
        self.mode = mode
        self.filter = filter
        self.isProtected = isProtected
        self.takesProbes = takesProbes
    }
}
