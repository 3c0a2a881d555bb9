package import Kubernetes
package import Logging
import SSHProtocol
package import SSHServer
import ServiceLifecycle

/// The `authorized_keys` of a Secret, each of whose keys has a user's lines; followed through the API, which is at once,
/// where a mounted Secret takes a minute.
///
/// States: *current*; *closed*, where the Secret is not there: then no key is authorized. While the API server does not
/// answer, the keys stay as they were.
package actor AuthorizedKeysSecret: AuthorizedKeysProvider {
    package nonisolated let source = AuthorizedKeysSource(AuthorizedKeys(parsing: "", file: ""))

    private let client: KubernetesClient
    private let name: String
    private let namespace: String
    private let logger: Logger
    private var isThere = false

    package init(client: KubernetesClient, name: String, namespace: String, logger: Logger) {
        self.client = client
        self.name = name
        self.namespace = namespace
        self.logger = logger
    }

    package func reload() async {}

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await ResourceFollower(self.client, namespace: self.namespace, name: self.name).run({ .secrets }) {
                news, _ in
                await self.take(news)
            }
        }
    }

    private func take(_ news: ResourceFollower.News) {
        switch news {
        case .objects(let secrets):
            guard let secret = secrets.first else { return }
            isThere = true
            use(secret)
        case .listed:
            if !isThere { close() }
            isThere = false
        case .change(let change):
            change.kind == .deleted ? close() : use(change.object)
        case .problem(let error):
            logger.warning("the authorized keys are not followed", metadata: ["reason": "\(error)"])
        }
    }

    private func close() {
        logger.error("secret \(name) in namespace \(namespace) is not there: nobody can log in")
        source.current = AuthorizedKeys(parsing: "", file: name)
    }

    private func use(_ secret: JSONValue) {
        let data = secret["data"]?.object ?? [:]
        let text = data.sorted { $0.key < $1.key }.compactMap { SecretData.decode($0.value) }.joined(separator: "\n")
        let keys = AuthorizedKeys(parsing: text, file: "secret \(name)")
        source.current = keys
        for diagnostic in keys.diagnostics { logger.warning("\(diagnostic); the line grants nothing") }
        logger.info("authorized keys", metadata: ["secret": "\(name)", "keys": "\(keys.entries.count)"])
    }
}
