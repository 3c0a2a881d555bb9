import ArgumentParser
import ControlAPI
import Glibc

/// What of a workload's container is had here, beside its traffic.
struct ContainerOptions: ParsableArguments {
    /// What `--mount` says.
    enum Mount: Equatable {
        /// Nothing: where it can be had, and without a word where it cannot.
        case ifPossible
        case none
        case at(IngestRequest.Mount)
    }

    @OptionGroup var environment: EnvironmentOptions

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Mount the container's volumes: true, false, or an empty directory to mount them at; :ro to write nothing.",
            valueName: "true|false|dir[:ro]"))
    var mount: String?

    @Option(
        name: .long,
        help: ArgumentHelp("Copy the container's volumes to a directory instead; needs no FUSE.", valueName: "dir"))
    var mountCopy: String?

    @Flag(
        name: .long,
        help: """
            Run a container with docker or podman: what follows -- is an image and its arguments. It has the network, the \
            variables and the volumes.
            """)
    var dockerRun = false

    func validate() throws {
        if mount != nil, mountCopy != nil { throw ValidationError("--mount and --mount-copy exclude each other") }
        _ = try wantedMount()
    }

    func wantedMount() throws -> Mount {
        if mountCopy != nil { return .none }
        switch mount {
        case nil: return .ifPossible
        case "false": return .none
        case "true": return .at(IngestRequest.Mount())
        case .some(let text):
            let isReadOnly = text.hasSuffix(":ro")
            let place = String(text.dropLast(isReadOnly ? 3 : 0))
            if isReadOnly, place == "true" { return .at(IngestRequest.Mount(isReadOnly: true)) }
            guard !place.isEmpty else { throw ValidationError("--mount '\(text.shown)': expected a directory") }
            guard let absolute = Self.absolute(place) else {
                throw ValidationError("--mount \(place.shown): \(String(cString: strerror(errno)))")
            }
            return .at(IngestRequest.Mount(directory: absolute, isReadOnly: isReadOnly))
        }
    }

    /// The daemon has another working directory; and the kernel lists mounts by where they really are.
    private static func absolute(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    /// Whether anything was asked for by name.
    var isAsked: Bool { environment.isAsked || mount != nil && mount != "false" || mountCopy != nil || dockerRun }
}
