// swift-tools-version: 6.3

import PackageDescription

/// What every target of ours is compiled with. A symbol crosses targets only as `package`.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioConcurrencyHelpers = Target.Dependency.product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let nioFoundationCompat = Target.Dependency.product(name: "NIOFoundationCompat", package: "swift-nio")
let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let nioHTTP2 = Target.Dependency.product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioHPACK = Target.Dependency.product(name: "NIOHPACK", package: "swift-nio-http2")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioExtras = Target.Dependency.product(name: "NIOExtras", package: "swift-nio-extras")
let nioSOCKS = Target.Dependency.product(name: "NIOSOCKS", package: "swift-nio-extras")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let heap = Target.Dependency.product(name: "HeapModule", package: "swift-collections")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "telepresence",
    platforms: [.macOS(.v26)],
    products: [
        .executable(name: "telepresence", targets: ["telepresence"]),
        .executable(name: "traffic", targets: ["traffic"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // C leaves.
        .systemLibrary(
            name: "CLibcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CLibssh2", pkgConfig: "libssh2", providers: [.apt(["libssh2-1-dev"])]),
        .target(name: "CLinux"),

        // Pure: bytes and events in, effects out; no socket, task, clock or logger.
        .target(
            name: "SSHProtocol", dependencies: [nioCore, crypto, "CLibcrypto", "CLinux"],
            swiftSettings: settings),
        .target(name: "DNS", dependencies: [nioCore], swiftSettings: settings),
        .target(name: "SFTP", dependencies: ["CLinux", nioCore, crypto], swiftSettings: settings),
        .target(name: "IPPacket", swiftSettings: settings),
        .target(name: "ControlAPI", swiftSettings: settings),

        // Sockets on an event loop of our own.
        .target(
            name: "Reactors", dependencies: ["CLinux", nioCore, nioConcurrencyHelpers, heap], swiftSettings: settings),

        // Cluster side.
        .target(
            name: "Kubernetes",
            dependencies: [
                "ControlAPI", yams, nioCore, nioPosix, nioSSL, nioHTTP1, nioWebSocket, nioFoundationCompat,
                nioConcurrencyHelpers, nioExtras, nioSOCKS, asyncHTTPClient, subprocess, systemPackage,
            ], swiftSettings: settings),
        .target(
            name: "SSHServer",
            dependencies: [
                "SSHProtocol", "Reactors", "CLinux", nioCore, nioPosix, nioConcurrencyHelpers, logging, lifecycle,
            ],
            swiftSettings: settings),
        .target(
            name: "TrafficManager",
            dependencies: [
                "SSHServer", "SSHProtocol", "DNS", "SFTP", "ControlAPI", "Kubernetes", "CLinux",
                nioCore, nioPosix, logging, lifecycle, unixSignals, hummingbirdCore, httpTypes, nioHTTPTypes,
            ], swiftSettings: settings),
        .target(
            name: "TrafficAgent",
            dependencies: [
                "Forwarding", "SSHClient", "SSHProtocol", "SFTP", "ControlAPI", "Reactors", "CLinux",
                nioCore, nioPosix, nioConcurrencyHelpers, nioHTTP2, nioHPACK, logging, lifecycle,
            ], swiftSettings: settings),
        .executableTarget(
            name: "traffic",
            dependencies: [
                "TrafficManager", "TrafficAgent", "SSHServer", "SSHClient", "SSHProtocol", "ControlAPI", "Kubernetes",
                "CLinux", nioCore, nioPosix, logging, arguments, lifecycle, unixSignals,
            ],
            swiftSettings: settings),

        // Workstation side.
        .target(
            name: "SSHClient",
            dependencies: ["CLibssh2", "SSHProtocol", "CLinux", nioCore, nioPosix, logging],
            swiftSettings: settings),
        .target(
            name: "Forwarding",
            dependencies: [
                "SSHClient", "SSHProtocol", "DNS", "IPPacket", "CLinux", nioCore, nioPosix, nioExtras, logging,
            ],
            swiftSettings: settings),
        .target(
            name: "Workstation",
            dependencies: [
                "Forwarding", "SSHClient", "SSHProtocol", "SFTP", "DNS", "IPPacket", "ControlAPI", "Kubernetes",
                "CLinux",
                nioCore, nioPosix, nioHTTP1, logging, lifecycle, yams,
            ], swiftSettings: settings),
        .executableTarget(
            name: "telepresence",
            dependencies: [
                "Workstation", "Forwarding", "SSHClient", "SSHProtocol", "SFTP", "ControlAPI", "Kubernetes",
                nioCore, nioPosix, logging, lifecycle, arguments,
            ],
            swiftSettings: settings),

        // The embedded cluster's example workload.
        .executableTarget(
            name: "hello", dependencies: [nioCore, nioPosix, nioHTTP1, arguments],
            swiftSettings: settings),

        .testTarget(
            name: "SSHProtocolTests", dependencies: ["SSHProtocol", "CLibcrypto", nioCore, crypto],
            swiftSettings: settings),
        .testTarget(name: "SFTPTests", dependencies: ["SFTP", "CLinux", nioCore], swiftSettings: settings),
        .testTarget(name: "DNSTests", dependencies: ["DNS", nioCore], swiftSettings: settings),
        .testTarget(
            name: "KubernetesTests", dependencies: ["Kubernetes", "ControlAPI", nioCore, nioPosix],
            swiftSettings: settings),
        .testTarget(
            name: "SSHServerTests", dependencies: ["SSHServer", "Reactors", "SSHProtocol", nioCore, nioPosix, logging],
            swiftSettings: settings),
        .testTarget(
            name: "TrafficAgentTests", dependencies: ["TrafficAgent", "ControlAPI", nioCore], swiftSettings: settings),
        .testTarget(name: "ControlAPITests", dependencies: ["ControlAPI"], swiftSettings: settings),
        .testTarget(
            name: "TrafficManagerTests",
            dependencies: [
                "TrafficManager", "SSHServer", "SSHProtocol", "DNS", "ControlAPI", "Kubernetes",
                nioCore, nioPosix, nioEmbedded, logging, lifecycle,
            ], swiftSettings: settings),
        .testTarget(
            name: "HelloTests", dependencies: ["hello", nioCore, nioPosix, nioHTTP1], swiftSettings: settings),

        .testTarget(
            name: "SSHClientTests", dependencies: ["SSHClient", "SSHProtocol", nioCore, nioPosix],
            swiftSettings: settings),
        .testTarget(
            name: "ForwardingTests",
            dependencies: [
                "Forwarding", "SSHClient", "SSHProtocol", "DNS", "IPPacket", "CLinux", nioCore, nioPosix, logging,
                crypto,
            ], swiftSettings: settings),
        .testTarget(name: "IPPacketTests", dependencies: ["IPPacket"], swiftSettings: settings),
        .testTarget(
            name: "WorkstationTests",
            dependencies: [
                "Workstation", "Forwarding", "SSHClient", "SSHProtocol", "DNS", "IPPacket", "ControlAPI", "CLinux",
                nioCore, nioPosix, logging,
            ], swiftSettings: settings),
        .testTarget(
            name: "CLITests", dependencies: ["telepresence", "SSHProtocol"], swiftSettings: settings),

        // What the sources promise about themselves: imports, sizes, names, words.
        .testTarget(name: "ConventionTests", swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)

// What the fuzzer feeds (Tests/fuzz) has counters in it, so it is built only when asked for.
if Context.environment["TELEPRESENCE_FUZZ"] != nil {
    let fuzzed: [SwiftSetting] = [.unsafeFlags(["-sanitize=fuzzer"])]
    for target in package.targets
    where ["SSHProtocol", "DNS", "IPPacket", "ControlAPI", "SFTP", "TrafficAgent", "Kubernetes"].contains(target.name) {
        target.swiftSettings = settings + fuzzed
    }
    package.targets += [
        .systemLibrary(name: "CFuzzer", path: "Tests/fuzz/CFuzzer"),
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "SSHProtocol", "DNS", "IPPacket", "ControlAPI", "SFTP", "TrafficAgent", "Kubernetes", "CFuzzer",
                nioCore,
            ],
            path: "Tests/fuzz/Fuzz",
            swiftSettings: settings),
    ]
}
