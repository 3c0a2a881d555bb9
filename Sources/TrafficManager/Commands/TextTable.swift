/// Columns under headings, two blanks apart, as kubectl prints them.
struct TextTable {
    private var rows: [[String]]

    init(_ headings: [String]) {
        rows = [headings]
    }

    /// Cells may come from a peer: what a terminal would obey is not printed.
    mutating func add(_ cells: [String]) {
        rows.append(cells.map { $0.isEmpty ? "-" : $0.shortened })
    }

    var text: String {
        let columns = rows.first?.count ?? 0
        let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { index, cell in
                index == columns - 1 ? cell : TextTable.pad(cell, to: widths[index])
            }
            return cells.joined(separator: "  ") + "\n"
        }.joined()
    }

    static func pad(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
