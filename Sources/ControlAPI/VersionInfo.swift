/// Who answers: `/v1/version`, `ssh … manager version --json`.
package struct VersionInfo: Codable, Hashable, Sendable {
    /// The generation of these models. A client refuses a higher one than it knows.
    package static let currentAPIVersion = 3

    /// The product: `traffic-manager`.
    package var name: String
    /// The release, as `0.5.0`.
    package var version: String
    package var apiVersion: Int

    package init(name: String, version: String, apiVersion: Int = VersionInfo.currentAPIVersion) {
        self.name = name
        self.version = version
        self.apiVersion = apiVersion
    }
}
