/// What a traffic agent beside an app is told.
package struct InjectionOptions: Sendable {
    package var image: String
    /// `nil`: left to Kubernetes.
    package var imagePullPolicy: String?
    package var managerHost: String
    package var managerPort: UInt16 = 8022
    /// A fingerprint.
    package var managerHostKey: String
    package var logLevel = "info"
    /// A container that is left out while the agent stands for it; `appContainer` for the one whose port is taken over.
    package var replaced: String?
    /// An init container leads the ports of headless services to the agent.
    package var redirects = false

    package static let appContainer = "*"

    package init(image: String, managerHost: String, managerHostKey: String) {
        self.image = image
        self.managerHost = managerHost
        self.managerHostKey = managerHostKey
    }
}
