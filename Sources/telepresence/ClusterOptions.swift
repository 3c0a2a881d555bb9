import ArgumentParser
import Kubernetes
import Workstation

/// How the API of the cluster is reached: kubectl's connection flags.
struct ClusterOptions: ParsableArguments {
    @Option(
        name: .long, help: ArgumentHelp("The kubeconfig. (default: KUBECONFIG, ~/.kube/config)", valueName: "file"),
        completion: .file())
    var kubeconfig: String?
    @Option(name: .long, help: ArgumentHelp("The context of the kubeconfig.", valueName: "name"))
    var context: String?
    @Option(name: .long, help: ArgumentHelp("The cluster of the kubeconfig.", valueName: "name"))
    var cluster: String?
    @Option(name: [.customShort("s"), .long], help: ArgumentHelp("The API server.", valueName: "url"))
    var server: String?
    @Option(name: .long, help: ArgumentHelp("A bearer token.", valueName: "token"))
    var token: String?
    @Option(name: .customLong("as"), help: ArgumentHelp("The user to act as.", valueName: "user"))
    var impersonatedUser: String?
    @Option(
        name: .customLong("as-group"), help: ArgumentHelp("A group to act as; may be repeated.", valueName: "group"))
    var impersonatedGroups: [String] = []
    @Option(name: .customLong("as-uid"), help: ArgumentHelp("The UID to act as.", valueName: "uid"))
    var impersonatedUID: String?
    @Option(
        name: .long, help: ArgumentHelp("Certificates that vouch for the API server.", valueName: "file"),
        completion: .file())
    var certificateAuthority: String?
    @Option(name: .long, help: ArgumentHelp("Your certificate.", valueName: "file"), completion: .file())
    var clientCertificate: String?
    @Option(name: .long, help: ArgumentHelp("Its key.", valueName: "file"), completion: .file())
    var clientKey: String?
    @Option(
        name: .long, help: ArgumentHelp("The name that the API server's certificate has.", valueName: "name"))
    var tlsServerName: String?
    @Flag(
        name: .customLong("insecure-skip-tls-verify"), help: "Believe any certificate. Anybody may read what is sent.")
    var skipsTLSVerification = false

    func validate() throws {
        guard impersonatedUser != nil || impersonatedGroups.isEmpty && impersonatedUID == nil else {
            throw ValidationError("--as-group and --as-uid need --as")
        }
        if let server, !server.hasPrefix("https://"), !server.hasPrefix("http://") {
            throw ValidationError("--server '\(server.shown)': expected https://HOST:PORT")
        }
    }

    var overrides: ConnectionOverrides {
        var overrides = ConnectionOverrides()
        overrides.kubeconfig = kubeconfig
        overrides.context = context
        overrides.cluster = cluster
        overrides.server = server
        overrides.token = token
        overrides.impersonatedUser = impersonatedUser
        overrides.impersonatedGroups = impersonatedGroups
        overrides.impersonatedUID = impersonatedUID
        overrides.certificateAuthority = certificateAuthority
        overrides.clientCertificate = clientCertificate
        overrides.clientKey = clientKey
        overrides.tlsServerName = tlsServerName
        overrides.skipsTLSVerification = skipsTLSVerification ? true : nil
        return overrides
    }
}
