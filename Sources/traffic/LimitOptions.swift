import ArgumentParser
import SSHProtocol
import SSHServer

/// Limits with the names and defaults of sshd_config(5), where it has them.
struct LimitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("From connecting to being logged in: 120, 2m.", valueName: "time"))
    var loginGraceTime = TimeLength(seconds: 120)

    @Option(help: ArgumentHelp("Connections that are not logged in: start:rate:full.", valueName: "n[:n:n]"))
    var maxStartups = StartupLimit(MaxStartups())

    @Option(help: ArgumentHelp("Attempts to log in on one connection.", valueName: "n"))
    var maxAuthTries = 6

    @Option(help: ArgumentHelp("Connections that are logged in.", valueName: "n"))
    var maxSessions = 1000

    @Option(help: ArgumentHelp("Channels of one connection.", valueName: "n"))
    var maxChannels = 4096

    @Option(help: ArgumentHelp("Remote forwards of one connection.", valueName: "n"))
    var maxListeners = 128

    @Option(help: ArgumentHelp("Silence before a client is asked for a sign of life.", valueName: "time"))
    var clientAliveInterval = TimeLength(seconds: 15)

    @Option(help: ArgumentHelp("Questions that a client may leave unanswered.", valueName: "n"))
    var clientAliveCountMax = 3

    @Option(help: ArgumentHelp("Bytes after which new keys are agreed: 64M, 4G.", valueName: "size"))
    var rekeyLimit: ByteCount?

    @Flag(inversion: .prefixedNo, help: "Make addresses wait that fail to log in.")
    var perSourcePenalties = true

    func validate() throws {
        let counts = [
            ("--max-auth-tries", maxAuthTries, 1...1000), ("--max-sessions", maxSessions, 1...1_000_000),
            ("--client-alive-count-max", clientAliveCountMax, 1...1000),
            ("--max-channels", maxChannels, 1...1_000_000), ("--max-listeners", maxListeners, 0...65_535),
        ]
        for (flag, count, range) in counts where !range.contains(count) {
            throw ValidationError("\(flag): \(count) is no limit; expected \(range.lowerBound) to \(range.upperBound)")
        }
    }

    var limits: ServerLimits {
        var limits = ServerLimits()
        limits.loginGraceTime = loginGraceTime.amount
        limits.maxStartups = maxStartups.value
        limits.maxAuthTries = maxAuthTries
        limits.sessions = maxSessions
        limits.connection.channels = maxChannels
        limits.listenersPerSession = maxListeners
        limits.clientAliveInterval = clientAliveInterval.amount
        limits.clientAliveCountMax = clientAliveCountMax
        if let rekeyLimit { limits.rekey = RekeyLimits(bytes: rekeyLimit.bytes) }
        limits.penalties.isEnabled = perSourcePenalties
        return limits
    }
}

/// `MaxStartups`
struct StartupLimit: ExpressibleByArgument, CustomStringConvertible {
    var value: MaxStartups

    init(_ value: MaxStartups) {
        self.value = value
    }

    init?(argument: String) {
        guard let value = MaxStartups(argument) else { return nil }
        self.value = value
    }

    var description: String { "\(value.start):\(value.rate):\(value.full)" }
}
