import ControlAPI
import Testing
import TrafficManager

@Suite struct ManagerVersionTests {
    @Test func namesTheProductAndTheModels() {
        let parts = ManagerVersion.info.version.split(separator: ".", omittingEmptySubsequences: false)
        #expect(parts.count == 3)
        #expect(parts.allSatisfy { UInt($0) != nil })
        #expect(ManagerVersion.info.name == "traffic-manager")
        #expect(ManagerVersion.info.apiVersion == VersionInfo.currentAPIVersion)
    }
}
