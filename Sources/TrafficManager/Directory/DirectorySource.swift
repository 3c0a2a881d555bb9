package import ServiceLifecycle

/// What keeps a directory as the cluster is.
package protocol DirectorySource: ServiceLifecycle.Service {
    var directory: Directory { get }

    /// Somebody asked for it: looks at once.
    func readAgain() async
}
