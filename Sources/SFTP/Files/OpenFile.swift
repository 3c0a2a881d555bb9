import Glibc

/// What a handle stands for.
final class OpenFile {
    enum Content {
        case file(descriptor: CInt, appends: Bool)
        /// What is left of a directory's listing.
        case directory(Listing)
    }

    struct Listing {
        var stream: OpaquePointer?
        /// Of a directory that is none of the file system's.
        var path: String
        var names: [String]
    }

    var content: Content
    let isReadOnly: Bool

    init(_ content: Content, isReadOnly: Bool) {
        self.content = content
        self.isReadOnly = isReadOnly
    }

    deinit {
        switch content {
        case .file(let descriptor, _): close(descriptor)
        case .directory(let listing): if let stream = listing.stream { closedir(stream) }
        }
    }
}
