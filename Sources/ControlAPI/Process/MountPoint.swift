/// A directory, or a single file, that a container has from a volume.
package struct MountPoint: Codable, Hashable, Sendable {
    /// In the container: absolute.
    package var path: String
    package var isReadOnly: Bool

    package init(path: String, isReadOnly: Bool) {
        self.path = path
        self.isReadOnly = isReadOnly
    }
}
