/// What kubectl's connection flags say, each where it was given; they win over the kubeconfig.
package struct ConnectionOverrides: Codable, Hashable, Sendable {
    package var kubeconfig: String?
    package var context: String?
    package var cluster: String?
    package var user: String?
    package var namespace: String?
    package var server: String?
    package var token: String?
    package var impersonatedUser: String?
    package var impersonatedGroups: [String] = []
    package var impersonatedUID: String?
    package var certificateAuthority: String?
    package var clientCertificate: String?
    package var clientKey: String?
    package var tlsServerName: String?
    package var skipsTLSVerification: Bool?
    package var requestTimeoutSeconds: Int?

    package init() {}

    package var isEmpty: Bool { self == ConnectionOverrides() }
}
