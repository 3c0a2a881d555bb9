import Yams

extension InputError {
    /// A complaint of the YAML parser, in one line.
    init(yaml error: any Error, file: String, lineOffset: Int) {
        var line = 1
        var problem = "this is not YAML or JSON"
        switch error {
        case let .scanner(context, text, mark, _) as YamlError, let .parser(context, text, mark, _) as YamlError,
            let .composer(context, text, mark, _) as YamlError:
            line = mark.line
            problem = [context?.text, text].compactMap(\.self).joined(separator: ", ")
        case let .reader(text, offset, _, yaml) as YamlError:
            line = 1 + yaml.prefix(offset ?? 0).count(where: \.isNewline)
            problem = text
        case let .duplicatedKeysInMapping(keys, context) as YamlError:
            line = context.mark.line
            problem = "the key \(NodeReader.printable(keys.joined(separator: ", "))) stands twice in one mapping"
        default:
            break
        }
        self.init(
            location: SourceLocation(file: file, line: line + lineOffset), problem: problem,
            expected: "YAML or JSON as kubectl prints it")
    }
}
