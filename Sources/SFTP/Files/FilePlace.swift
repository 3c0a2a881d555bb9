/// Where a path leads.
enum FilePlace {
    /// A directory between the root and the mount points: there to be listed.
    case between([Substring])
    /// Below a mount point, or the point itself, where `path` is empty. `path` has no `.`, `..` or empty names.
    case mounted(FileMountPoint, path: String)
}
