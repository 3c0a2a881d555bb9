import ControlAPI
import Testing

@Suite("Variables in files")
struct EnvironmentSyntaxTests {
    private static let difficult = "it's $HOME \"quoted\" \\ `x` !! 100%"

    @Test(
        "each format has its own quotes",
        arguments: [
            (EnvironmentSyntax.docker, "A=\(difficult)\n"),
            (.sh, "A='it'\\''s $HOME \"quoted\" \\ `x` !! 100%'\n"),
            (.shExport, "export A='it'\\''s $HOME \"quoted\" \\ `x` !! 100%'\n"),
            (.csh, "set A='it'\\''s $HOME \"quoted\" \\ `x` \\!\\! 100%'\n"),
            (.cshExport, "setenv A 'it'\\''s $HOME \"quoted\" \\ `x` \\!\\! 100%'\n"),
            (.fish, "set A 'it\\'s $HOME \"quoted\" \\\\ `x` !! 100%'\n"),
            (.fishExport, "set -x A 'it\\'s $HOME \"quoted\" \\\\ `x` !! 100%'\n"),
            (.ps, "$A='it''s $HOME \"quoted\" \\ `x` !! 100%'\n"),
            (.psExport, "$Env:A='it''s $HOME \"quoted\" \\ `x` !! 100%'\n"),
            (.compose, "A=\"it's \\$HOME \\\"quoted\\\" \\\\ `x` !! 100%\"\n"),
            (.json, "{\n  \"A\" : \"it's $HOME \\\"quoted\\\" \\\\ `x` !! 100%\"\n}\n"),
        ])
    func quotes(syntax: EnvironmentSyntax, text: String) {
        #expect(syntax.text(of: ["A": Self.difficult]).text == text)
    }

    @Test("what a format cannot hold is told, and the rest is written")
    func left() {
        let variables = ["A": "1", "B": "two\nlines", "C.D": "dotted", "E": "\"x\""]
        #expect(EnvironmentSyntax.docker.text(of: variables).left == ["B"])
        #expect(EnvironmentSyntax.sh.text(of: variables).left == ["C.D"])
        #expect(EnvironmentSyntax.cmd.text(of: variables).left == ["B", "E"])
        #expect(EnvironmentSyntax.json.text(of: variables).left.isEmpty)
        #expect(EnvironmentSyntax.cmd.text(of: ["A": "50%"]).text == "set \"A=50%%\"\n")
        #expect(EnvironmentSyntax.compose.text(of: ["A": "ends in \\"]).text == "A=\"ends in \\\\\"\n")
        #expect(EnvironmentSyntax.sh.text(of: variables).text == "A='1'\nB='two\nlines'\nE='\"x\"'\n")
    }
}
