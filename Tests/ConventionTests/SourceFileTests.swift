import Testing

@Suite struct SourceFileTests {
    private func file(_ text: String) -> SourceFile {
        SourceFile(path: "Sources/A/B+C.swift", lines: text.split(separator: "\n", omittingEmptySubsequences: false))
    }

    @Test func findsEveryFormOfImport() {
        let file = file(
            "import A\npackage import B\n@testable import C\nimport struct D.E\n// import F\nlet import_ = \"import G\""
        )
        #expect(file.imports.map(\.module) == ["A", "B", "C", "D"])
        #expect(file.imports.map(\.number) == [1, 2, 3, 4])
    }

    @Test func readsCodeWithoutCommentsAndTexts() {
        let file = file("a // b\n/// c\nd(\"e \\\" // f\") + g\n    \n\"\"\"\nh\n\"\"\"\ni")
        #expect(file.code.map { $0.text.trimmed } == ["a", "d(\") + g", "i"])
        #expect(file.mentions(of: ["b", "e", "f", "h"]).isEmpty)
        #expect(file.mentions(of: ["g"]) == ["Sources/A/B+C.swift:3: d(\") + g"])
    }

    @Test(arguments: [
        ("try! x", "try!", true), ("fortry! x", "try!", false), ("republic", "public", false),
        ("(public)", "public", true),
    ])
    func knowsAWordFromAPartOfOne(text: String, word: String, isHeld: Bool) {
        #expect(text.holds(word: word) == isHeld)
    }

    @Test func knowsItsNames() {
        #expect(file("").name == "B+C")
        #expect(file("").target == "A")
    }
}
