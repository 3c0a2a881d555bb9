package import SSHServer
package import ServiceLifecycle

/// What keeps the keys that may log in as they are said.
package protocol AuthorizedKeysProvider: ServiceLifecycle.Service {
    var source: AuthorizedKeysSource { get }

    /// Somebody asked for it: looks at once.
    func reload() async
}
