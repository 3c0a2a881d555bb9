import Yams

/// One node of a document with its way there, read by hand so that every complaint has its true line.
struct NodeReader {
    let node: Node
    /// As people write it: `spec.ports[0].port`; empty for the object itself.
    let path: String
    /// `Service default/hello`, once it is known.
    var subject: String
    let file: String
    /// Lines before the text that the parser was given.
    let lineOffset: Int
    /// The line to name when the node has none.
    let fallbackLine: Int

    init(root node: Node, file: String, lineOffset: Int) {
        self.init(node: node, path: "", subject: "", file: file, lineOffset: lineOffset, fallbackLine: 1 + lineOffset)
    }

    private init(node: Node, path: String, subject: String, file: String, lineOffset: Int, fallbackLine: Int) {
        self.node = node
        self.path = path
        self.subject = subject
        self.file = file
        self.lineOffset = lineOffset
        self.fallbackLine = fallbackLine
    }

    var location: SourceLocation {
        SourceLocation(file: file, line: node.mark.map { $0.line + lineOffset } ?? fallbackLine)
    }

    func child(_ node: Node, _ step: String) -> NodeReader {
        NodeReader(
            node: node, path: path.isEmpty || step.hasPrefix("[") ? path + step : "\(path).\(step)", subject: subject,
            file: file, lineOffset: lineOffset, fallbackLine: location.line)
    }

    /// This node does not hold what it should.
    func error(_ expected: String) -> InputError {
        InputError(location: location, problem: "\(place) is \(shown)", expected: expected)
    }

    private var place: String {
        switch (path.isEmpty, subject.isEmpty) {
        case (true, true): "this document"
        case (true, false): subject
        case (false, true): path
        case (false, false): "\(path) of \(subject)"
        }
    }

    /// What stands here.
    private var shown: String {
        switch node {
        case .mapping: "a mapping"
        case .sequence: "a sequence"
        case .alias: "an alias"
        case .scalar(let scalar) where isNull(scalar): "empty"
        case .scalar(let scalar): "\"\(NodeReader.printable(scalar.string))\""
        }
    }

    /// Text of the file in a complaint: cut short, on one line, without control characters.
    static func printable(_ text: String) -> String {
        String(
            text.prefix(60).map { character in
                character.isNewline || character.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7f }
                    ? " " : character
            })
    }

    var isNull: Bool {
        if case .scalar(let scalar) = node { isNull(scalar) } else { false }
    }

    private func isNull(_ scalar: Node.Scalar) -> Bool {
        scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// A plain scalar that YAML and JSON read as a whole number.
    var isInteger: Bool {
        if case .scalar(let scalar) = node { scalar.style == .plain && Int(scalar.string) != nil } else { false }
    }
}

extension Array {
    /// `map` that keeps a typed error.
    func map<Result, Failure: Error>(throwing transform: (Element) throws(Failure) -> Result) throws(Failure)
        -> [Result]
    {
        var results: [Result] = []
        results.reserveCapacity(count)
        for element in self { results.append(try transform(element)) }
        return results
    }
}

extension Optional {
    /// `map` that keeps a typed error.
    func map<Result, Failure: Error>(throwing transform: (Wrapped) throws(Failure) -> Result) throws(Failure)
        -> Result?
    {
        guard let self else { return nil }
        return try transform(self)
    }
}
