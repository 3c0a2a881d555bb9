import Testing

/// What the sources promise about themselves, apart from what the compiler and the formatter see to.
@Suite struct ConventionTests {
    /// Longer files need a reason, and a line here.
    static let longFiles: [String: String] = [:]
    static let longestFile = 900

    /// What each target may import besides what comes with Swift.
    static let allowedImports: [String: Set<String>] = [
        "CLibcrypto": [], "CLibssh2": [], "CLinux": [],
        "SSHProtocol": ["NIOCore", "Crypto", "CryptoExtras", "_CryptoExtras", "CLibcrypto", "CLinux"],
        "DNS": ["NIOCore"],
        "IPPacket": [],
        "ControlAPI": ["FoundationEssentials"],
        "Kubernetes": [
            "ControlAPI", "Yams", "FoundationEssentials", "NIOCore", "NIOPosix", "NIOSSL", "NIOHTTP1", "NIOWebSocket",
            "NIOFoundationCompat", "NIOConcurrencyHelpers", "NIOExtras", "NIOSOCKS", "AsyncHTTPClient", "Subprocess",
            "SystemPackage",
        ],
        "Reactors": ["CLinux", "NIOCore", "NIOConcurrencyHelpers", "HeapModule", "Dispatch"],
        "SFTP": ["CLinux", "NIOCore", "Crypto"],
        "TrafficAgent": [
            "Forwarding", "SSHClient", "SSHProtocol", "SFTP", "ControlAPI", "Reactors", "CLinux", "NIOCore", "NIOPosix",
            "NIOHTTP2", "NIOHPACK",
            "NIOConcurrencyHelpers", "Logging", "ServiceLifecycle",
        ],
        "SSHServer": [
            "SSHProtocol", "Reactors", "CLinux", "NIOCore", "NIOPosix", "NIOConcurrencyHelpers", "Logging",
            "ServiceLifecycle",
        ],
        "TrafficManager": [
            "SSHServer", "SSHProtocol", "DNS", "SFTP", "ControlAPI", "Kubernetes", "CLinux",
            "NIOCore", "NIOPosix", "NIOHTTPTypes", "Logging", "ServiceLifecycle", "UnixSignals", "HTTPTypes",
            "HummingbirdCore",
        ],
        "SSHClient": ["CLibssh2", "SSHProtocol", "CLinux", "NIOCore", "NIOPosix", "Logging"],
        "Forwarding": [
            "SSHClient", "SSHProtocol", "DNS", "IPPacket", "CLinux", "NIOCore", "NIOPosix", "NIOExtras", "Logging",
        ],
        "Workstation": [
            "Forwarding", "SSHClient", "SSHProtocol", "SFTP", "DNS", "IPPacket", "ControlAPI", "Kubernetes", "CLinux",
            "NIOCore", "NIOPosix", "NIOHTTP1", "Logging", "ServiceLifecycle", "Yams", "FoundationEssentials",
        ],
        "traffic": [
            "TrafficManager", "TrafficAgent", "SSHServer", "SSHClient", "SSHProtocol", "ControlAPI", "Kubernetes",
            "CLinux", "UnixSignals", "Logging", "ServiceLifecycle", "ArgumentParser", "NIOCore", "NIOPosix",
        ],
        "telepresence": [
            "Workstation", "Forwarding", "SSHClient", "SSHProtocol", "SFTP", "ControlAPI", "Kubernetes", "NIOCore",
            "NIOPosix", "Logging",
            "ServiceLifecycle", "ArgumentParser",
        ],
        "hello": ["NIOCore", "NIOPosix", "NIOHTTP1", "ArgumentParser"],
    ]

    /// What of the system a target that is not pure may use.
    static let system: Set<String> = ["Glibc", "Musl", "Darwin", "Synchronization"]

    /// A pure file that needs the system all the same, and why.
    static let systemFiles: [String: String] = [
        "Sources/SSHProtocol/Keys/ExpiryTime.swift": "expiry-time is in the machine's time zone (sshd(8))",
        "Sources/DNS/Stub/NameAddresses.swift":
            "the resolver gives addresses out that the tunnel looks up on its own thread",
    ]

    /// Bytes and events in, effects out.
    static let pureTargets: Set<String> = ["SSHProtocol", "DNS", "IPPacket", "ControlAPI"]

    static let sources = SourceFile.all(in: "Sources")
    static let tests = SourceFile.all(in: "Tests")

    @Test func theRepositoryIsRead() {
        #expect(Self.sources.contains { $0.path == "Sources/hello/Hello.swift" })
        #expect(Self.tests.contains { $0.path == "Tests/ConventionTests/ConventionTests.swift" })
    }

    @Test func targetsImportWhatTheyMay() {
        for file in Self.sources {
            guard let allowed = Self.allowedImports[file.target] else {
                Issue.record("\(file.path): the target \(file.target) has no list of allowed imports")
                continue
            }
            let isPure = Self.pureTargets.contains(file.target) && Self.systemFiles[file.path] == nil
            for (number, module) in file.imports where !allowed.contains(module) {
                if isPure || !Self.system.contains(module) {
                    Issue.record("\(file.path):\(number): \(file.target) may not import \(module)")
                }
            }
        }
    }

    @Test func machinesImportNothingThatActs() {
        let allowed: Set<String> = ["NIOCore", "Crypto", "CLibcrypto", "SSHProtocol"]
        for file in Self.sources where file.name.hasSuffix("Machine") {
            for (number, module) in file.imports where !allowed.contains(module) {
                Issue.record("\(file.path):\(number): a machine may not import \(module)")
            }
        }
    }

    @Test func pureTargetsHaveNoLoopTaskClockOrLogger() {
        let words = [
            "EventLoop", "EventLoopFuture", "ChannelHandler", "ChannelHandlerContext", "any Channel", "Task {",
            "Task.detached",
            "NIODeadline.now", "ContinuousClock", "Logger", "print(",
        ]
        for file in Self.sources where Self.pureTargets.contains(file.target) {
            for mention in file.mentions(of: words) { Issue.record("\(mention)") }
        }
    }

    @Test func nothingImportsFoundation() {
        for file in Self.sources + Self.tests {
            for (number, module) in file.imports
            where ["Foundation", "FoundationNetworking", "XCTest"].contains(module) {
                Issue.record("\(file.path):\(number): import \(module)")
            }
        }
    }

    @Test func nothingIsPublicForcedOrLeftOpen() {
        for file in Self.sources {
            for mention in file.mentions(of: ["public", "try!", "as!", "fatalError("]) {
                Issue.record("\(mention)")
            }
        }
        // In pieces, so that this file does not hold them.
        let unfinished = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
        for file in Self.sources + Self.tests {
            for (index, line) in file.lines.enumerated() where unfinished.contains(where: { line.holds(word: $0) }) {
                Issue.record("\(file.path):\(index + 1): \(line.trimmed)")
            }
        }
    }

    /// What can only be asked again and again, within a bound.
    static let pollingFiles: [String: String] = [
        "Tests/SSHServerTests/TestServer.swift": "counters have no observers"
    ]

    @Test func testsDoNotSleep() {
        for file in Self.tests where Self.pollingFiles[file.path] == nil {
            for mention in file.mentions(of: ["Task.sleep", "usleep", "sleep(", "nanosleep"]) {
                Issue.record("\(mention)")
            }
        }
    }

    @Test func filesAreShort() {
        for file in Self.sources + Self.tests where file.lines.count > Self.longestFile {
            #expect(Self.longFiles[file.path] != nil, "\(file.path): \(file.lines.count) lines")
        }
        for path in Self.longFiles.keys {
            #expect((Self.sources + Self.tests).contains { $0.path == path }, "\(path) is no more")
        }
    }

    /// `Type.swift` declares or extends `Type`, and `Type+Topic.swift` does too.
    @Test func filesAreNamedAfterTheirType() {
        let kinds = ["struct", "enum", "class", "actor", "protocol", "typealias", "extension"]
        for file in Self.sources + Self.tests where file.name != "main" && file.name != "Package" {
            let type = file.name.split(separator: "+")[0]
            let isDeclared = file.code.contains { line in
                let words = line.text.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }
                return zip(words, words.dropFirst()).contains { kind, name in
                    kinds.contains(String(kind)) && (name == type || name.hasSuffix(".\(type)"))
                }
            }
            #expect(isDeclared, "\(file.path) declares no \(type)")
        }
    }
}
