import Dispatch
import Glibc

/// Runs the `telepresence` that was built beside the tests.
enum Command {
    struct Result: Equatable, Sendable {
        var status: Int32
        var output: String
        var error: String
    }

    private struct Problem: Error {
        var text: String
    }

    private static var program: String {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count)
        let own = String(decoding: path.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            + "/telepresence"
    }

    /// Off the tests' own threads, since it waits.
    static func run(_ words: [String]) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Swift.Result { try wait(words) })
            }
        }
    }

    private static func wait(_ words: [String]) throws -> Result {
        // Files, so that neither stream can fill up while the other is read.
        guard let output = tmpfile(), let error = tmpfile() else { throw Problem(text: "tmpfile") }
        defer {
            fclose(output)
            fclose(error)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, fileno(output), STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, fileno(error), STDERR_FILENO)
        let program = program
        var pointers: [UnsafeMutablePointer<CChar>?] = ([program] + words).map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        // A directory of the user's own, where there is never anything of ours, and nothing can be made.
        let empty = ["XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"].map { strdup("\($0)=/proc/self") }
        defer { for pointer in empty { free(pointer) } }
        var environment: [UnsafeMutablePointer<CChar>?] = empty
        var place = environ
        while let entry = place.pointee {
            if !String(cString: entry).hasPrefix("XDG_") { environment.append(entry) }
            place += 1
        }
        environment.append(nil)
        var id: pid_t = 0
        let code = posix_spawn(&id, program, &actions, nil, &pointers, &environment)
        guard code == 0 else { throw Problem(text: "\(program): \(String(cString: strerror(code)))") }
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        return Result(
            status: status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f), output: text(output),
            error: text(error))
    }

    private static func text(_ file: UnsafeMutablePointer<FILE>) -> String {
        rewind(file)
        var bytes = [UInt8](repeating: 0, count: 1 << 18)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    static func inDirectory(_ body: (String) async throws -> Void) async throws {
        var template = Array("/tmp/telepresence-cli-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Problem(text: "mkdtemp") }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in ["key", "key.pub"] { unlink(directory + "/" + name) }
            rmdir(directory)
        }
        try await body(directory)
    }

    static func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }
}
