import SFTP
import Testing

@Suite("SFTP")
struct SFTPRouterTests {
    @Test func theRootOfPaths() {
        var router = SFTPRouter()
        #expect(router.wantsMore)
        _ = router.ended(1, "")
    }
}
