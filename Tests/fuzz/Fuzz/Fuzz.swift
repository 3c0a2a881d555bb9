import CFuzzer
import Glibc

/// `Fuzz TARGET [libFuzzer's arguments]` feeds one parser or machine until it traps or breaks a promise;
/// `Fuzz --list` names the targets, `Fuzz --seeds TARGET DIRECTORY` writes what to start from.
@main enum Fuzz {
    /// libFuzzer's callback is a C function, which holds nothing: the target is kept here. Set once, before it starts.
    nonisolated(unsafe) private static var target: Target?

    static func main() {
        let arguments = CommandLine.arguments
        switch arguments.dropFirst().first {
        case "--list":
            for target in Target.all { print(target.name) }
        case "--seeds" where arguments.count == 4:
            writeSeeds(of: named(arguments[2]), into: arguments[3])
        case let name?:
            target = named(name)
            run(Array(arguments.dropFirst(2)))
        case nil:
            fail("usage: Fuzz TARGET | --list | --seeds TARGET DIRECTORY")
        }
    }

    private static func run(_ arguments: [String]) {
        // libFuzzer reads its arguments where C programs find them, and keeps pointers into them.
        let strings = (["Fuzz"] + arguments).map { strdup($0) }
        let array = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { array[index] = string }
        array[strings.count] = nil
        var count = Int32(strings.count)
        var pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = array
        let status = LLVMFuzzerRunDriver(&count, &pointer) { data, size in
            Fuzz.target?.run(Array(UnsafeBufferPointer(start: data, count: size)))
            return 0
        }
        exit(status)
    }

    private static func named(_ name: String) -> Target {
        guard let target = Target.all.first(where: { $0.name == name }) else {
            fail("no target \(name), expected one of \(Target.all.map(\.name).joined(separator: ", "))")
        }
        return target
    }

    private static func writeSeeds(of target: Target, into directory: String) {
        for (index, seed) in target.seeds().enumerated() {
            guard let file = fopen("\(directory)/seed-\(index)", "w") else { fail("cannot write to \(directory)") }
            fwrite(seed, 1, seed.count, file)
            fclose(file)
        }
    }

    private static func fail(_ text: String) -> Never {
        let line = Array("Fuzz: \(text)\n".utf8)
        write(STDERR_FILENO, line, line.count)
        exit(2)
    }
}
