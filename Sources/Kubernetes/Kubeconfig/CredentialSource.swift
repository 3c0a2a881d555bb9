import FoundationEssentials
import NIOConcurrencyHelpers
import Subprocess
import SystemPackage

/// The `Authorization` of requests: a token that is fixed, in a file, or given out by a program and kept until it expires.
package final class CredentialSource: Sendable {
    /// Files are read again after this long, as client-go does.
    private static let fileAge = Duration.seconds(60)
    /// A token that expires sooner is asked for anew.
    private static let margin: TimeInterval = 10
    private static let maximumOutput = 1 << 20

    private struct Kept: Sendable {
        var token: String
        /// `nil`: until it is refused.
        var until: ContinuousClock.Instant?
    }

    private let credentials: ClusterAccess.Credentials
    private let access: ClusterAccess
    private let kept = NIOLockedValueBox<Kept?>(nil)

    package init(_ access: ClusterAccess) {
        self.access = access
        credentials = access.credentials
    }

    /// The server has refused what was given out: the next is made anew.
    func forget() { kept.withLockedValue { $0 = nil } }

    /// `Bearer …`, `Basic …` or nothing.
    func authorization() async throws(KubernetesError) -> String? {
        if let token = kept.withLockedValue({ $0 }), token.until.map({ $0 > .now }) ?? true {
            return "Bearer \(token.token)"
        }
        if let path = credentials.tokenFile {
            guard let text = Kubeconfig.contents(path) else {
                throw KubernetesError(.configuration, "the token file \(path) cannot be read")
            }
            let token = text.trimmed
            kept.withLockedValue { $0 = Kept(token: token, until: .now + Self.fileAge) }
            return "Bearer \(token)"
        }
        if let plugin = credentials.exec { return "Bearer \(try await run(plugin))" }
        if let token = credentials.token { return "Bearer \(token)" }
        return credentials.basic.map { "Basic \($0)" }
    }

    private struct Answer: Decodable {
        struct Status: Decodable {
            var token: String?
            var expirationTimestamp: String?
        }
        var status: Status?
    }

    private func run(_ plugin: ExecPlugin) async throws(KubernetesError) -> String {
        let hint = plugin.installHint.map { "; \($0)" } ?? ""
        func failed(_ why: String) -> KubernetesError {
            KubernetesError(.unauthorized, "the credential plugin \(plugin.command) \(why)\(hint)")
        }
        guard plugin.apiVersion.hasPrefix("client.authentication.k8s.io/") else {
            throw failed("is of version \(plugin.apiVersion), which is not known")
        }
        var variables: [Environment.Key: String?] = [
            "KUBERNETES_EXEC_INFO":
                "{\"apiVersion\":\"\(plugin.apiVersion)\",\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":false}}"
        ]
        for variable in plugin.env ?? [] {
            if let key = Environment.Key(rawValue: variable.name) { variables[key] = variable.value }
        }
        let output: String
        do {
            let result = try await Subprocess.run(
                plugin.command.contains("/") ? .path(FilePath(plugin.command)) : .name(plugin.command),
                arguments: .init(plugin.args ?? []), environment: .inherit.updating(variables),
                output: .string(limit: Self.maximumOutput), error: .string(limit: Self.maximumOutput))
            guard case .exited(0) = result.terminationStatus else {
                let text = result.standardError.split(whereSeparator: \.isNewline).last.map { ": \($0)" } ?? ""
                throw failed("failed\(text)")
            }
            output = result.standardOutput
        } catch let error as KubernetesError {
            throw error
        } catch {
            throw failed("could not be run: \(error)")
        }
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(output.utf8)),
            let token = answer.status?.token
        else { throw failed("gave no token") }
        var until: ContinuousClock.Instant?
        if let text = answer.status?.expirationTimestamp, let date = try? Date(text, strategy: .iso8601) {
            until = .now + .seconds(date.timeIntervalSinceNow - Self.margin)
        }
        kept.withLockedValue { [until] in $0 = Kept(token: token, until: until) }
        return token
    }
}

extension String {
    /// Without blanks and line ends around it.
    var trimmed: String {
        var text = self[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
