import Testing
import Workstation

@Suite struct ProgramVersionTests {
    @Test func isOfThisEra() {
        #expect(ProgramVersion.client == "0.5.0")
        #expect(ProgramVersion.api == 3)
    }
}
