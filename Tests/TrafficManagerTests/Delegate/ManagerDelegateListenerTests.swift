import Testing

@testable import TrafficManager

@Suite struct ManagerDelegateListenerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var mode: ListenerPolicy.GatewayPorts
        var address: String
        var answer: String

        init(_ mode: ListenerPolicy.GatewayPorts, _ address: String, _ answer: String) {
            (self.mode, self.address, self.answer) = (mode, address, answer)
        }

        var testDescription: String { "\(mode) '\(address)'" }
    }

    private static let loopback = "127.0.0.1:8000 [::1]:8000"
    private static let everywhere = "0.0.0.0:8000 [::]:8000"

    /// The table of sshd's channel_fwd_bind_addr.
    @Test(arguments: [
        Case(.clientspecified, "localhost", loopback), Case(.clientspecified, "", everywhere),
        Case(.clientspecified, "*", everywhere), Case(.clientspecified, "0.0.0.0", "0.0.0.0:8000"),
        Case(.clientspecified, "::", "[::]:8000"), Case(.clientspecified, "127.0.0.1", "127.0.0.1:8000"),
        Case(.clientspecified, "::1", "[::1]:8000"), Case(.clientspecified, "192.0.2.1", "192.0.2.1:8000"),
        Case(.clientspecified, "LocalHost", loopback),
        Case(.no, "localhost", loopback), Case(.no, "", loopback), Case(.no, "*", loopback),
        Case(.no, "0.0.0.0", loopback), Case(.no, "192.0.2.1", loopback), Case(.no, "127.0.0.1", "127.0.0.1:8000"),
        Case(.no, "::1", "[::1]:8000"),
        Case(.yes, "localhost", everywhere), Case(.yes, "127.0.0.1", everywhere), Case(.yes, "", everywhere),
        Case(.yes, "192.0.2.1", everywhere),
    ])
    func gatewayPorts(_ test: Case) throws {
        var configuration = ManagerDelegate.Configuration()
        configuration.listeners.gatewayPorts = test.mode
        #expect(try DelegateHarness(configuration).listener(test.address, 8000) == test.answer)
    }

    @Test func namesAreWorkloadsOrNothing() throws {
        let harness = try DelegateHarness()
        #expect(try DelegateHarness().listener("hello?http-header=x-user%3Dalice", 80) == "intercept")
        for name in ["hello", "outside"] {
            #expect(
                harness.listener(name, name == "outside" ? 81 : 80)
                    == (name == "outside"
                        ? "1: service outside has no port 81 (it has none)" : "intercept"))
        }
        for name in ["hello", "hello.default", "deployment/hello.default", "HELLO"] {
            #expect(harness.listener(name, 80) == "1: hello is intercepted by ada@laptop")
        }
        #expect(harness.listener("hello", 81) == "1: service hello has no port 81 (it has 80, 443)")
        #expect(harness.listener("hello", 0) == "1: an intercept of hello needs the service's port")
        for (name, workload, namespace) in [
            ("nosuch", "nosuch", "default"), ("example.com", "example", "com"), ("hello.data", "hello", "data"),
        ] {
            #expect(
                harness.listener(name, 80)
                    == "1: \(workload) is neither an address of the manager nor a workload of namespace \(namespace)")
        }
        #expect(harness.listener("hello?udp", 80) == "1: service hello has no port 80 (it has none)")
        for name in ["/", "hello.", "a b", "-", ".", "hello?x"] {
            let answer = harness.listener(name, 80)
            #expect(answer.hasPrefix("1: "))
        }
    }

    @Test func privilegedPortsNeedAFlag() throws {
        #expect(
            try DelegateHarness().listener("localhost", 1023)
                == "1: port 1023 is privileged (the manager runs without --allow-privileged-ports)")
        #expect(try DelegateHarness().listener("127.0.0.1", 1024) == "127.0.0.1:1024")
        #expect(try DelegateHarness().listener("127.0.0.1", 0) == "127.0.0.1:0")
        var configuration = ManagerDelegate.Configuration()
        configuration.listeners.allowsPrivilegedPorts = true
        #expect(try DelegateHarness(configuration).listener("127.0.0.1", 80) == "127.0.0.1:80")
    }
}
