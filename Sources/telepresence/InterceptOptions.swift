import ArgumentParser
import ControlAPI

/// What is intercepted, and where it goes; the same for `intercept` and `wiretap`.
struct InterceptOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The workload, as list shows it.", valueName: "name"))
    var workload: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The port on this machine, and the service's port by its number or name; may be repeated.",
            valueName: "local[:service]"))
    var port: [String]

    @Option(name: .long, help: ArgumentHelp("Where the handler listens.", valueName: "address"))
    var address = "127.0.0.1"

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The workload's namespace; the session's own if not given.", valueName: "namespace"))
    var namespace: String?

    @Option(
        name: .long,
        help: ArgumentHelp("The service, where it is not named after the workload.", valueName: "name"))
    var service: String?

    @Option(
        name: .long,
        help: ArgumentHelp("Of the workload's containers, the one whose port is meant.", valueName: "name"))
    var container: String?

    @Flag(
        name: .long,
        help: "Kubernetes: where a service is headless, have an init container (NET_ADMIN) lead its port to the agent.")
    var injectRedirect = false

    @Flag(name: .long, help: "Where no session is there, begin one for the command alone; needs no root.")
    var rootless = false

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Only requests whose header matches; may be repeated, and all must match.", valueName: "name=regex"))
    var httpHeader: [String] = []

    @Option(name: .long, help: ArgumentHelp("Only requests whose path begins so.", valueName: "path"))
    var httpPathPrefix: String?

    @Option(name: .long, help: ArgumentHelp("Only requests for this path.", valueName: "path"))
    var httpPathEqual: String?

    @Option(name: .long, help: ArgumentHelp("Only requests whose path matches.", valueName: "regex"))
    var httpPathRegex: String?

    @Option(name: .long, help: ArgumentHelp("Only requests with this method; may be repeated.", valueName: "method"))
    var httpMethod: [String] = []

    func validate() throws {
        guard !port.isEmpty else { throw ValidationError("--port is missing: expected LOCAL or LOCAL:SERVICE") }
        _ = try requests(mode: .intercept, isProtected: false, takesProbes: false)
    }

    func requests(mode: InterceptSpec.Mode, isProtected: Bool, takesProbes: Bool) throws -> [InterceptRequest] {
        let filter = try filter()
        return try port.map { text in
            let problem = ValidationError(
                "--port '\(text.shown)': expected LOCAL or LOCAL:SERVICE, as in 9000:80 or 9000:http")
            var words = text[...]
            var isDatagram = false
            if words.lowercased().hasSuffix("/udp") {
                isDatagram = true
                words = words.dropLast(4)
            }
            let parts = words.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2, let local = UInt16(parts[0]), local > 0, parts.count < 2 || !parts[1].isEmpty else {
                throw problem
            }
            var request = InterceptRequest(
                workload: workload, namespace: namespace, service: service,
                servicePort: parts.count > 1 ? String(parts[1]) : nil, isDatagram: isDatagram, container: container,
                host: address,
                port: local,
                mode: mode, filter: filter, isProtected: isProtected, takesProbes: takesProbes)
            request.isRedirecting = injectRedirect
            return request
        }
    }

    private func filter() throws -> InterceptFilter {
        var filter = InterceptFilter()
        for text in httpHeader {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw ValidationError("--http-header '\(text.shown)': expected NAME=REGEX")
            }
            filter.headers.append(InterceptFilter.Header(name: String(parts[0]), pattern: String(parts[1])))
        }
        let paths: [InterceptFilter.Path] =
            [httpPathPrefix.map { .prefix($0) }, httpPathEqual.map { .equal($0) }, httpPathRegex.map { .regex($0) }]
            .compactMap { $0 }
        guard paths.count <= 1 else {
            throw ValidationError("--http-path-prefix, --http-path-equal and --http-path-regex exclude each other")
        }
        filter.path = paths.first
        filter.methods = httpMethod.map { $0.uppercased() }
        return filter
    }
}
