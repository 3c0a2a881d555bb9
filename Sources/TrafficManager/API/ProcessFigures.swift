import Glibc

/// What Linux tells of this process (proc(5)); a figure that cannot be read is `nil`.
package struct ProcessFigures: Sendable {
    package var residentBytes: UInt64?
    package var openFileDescriptors: UInt64?
    package var maximumFileDescriptors: UInt64?
    package var cpuSeconds: Double?

    package static func read() -> ProcessFigures {
        var figures = ProcessFigures()
        figures.residentBytes = readResidentBytes()
        figures.openFileDescriptors = countFileDescriptors()

        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            figures.maximumFileDescriptors = UInt64(limit.rlim_cur)
        }
        var usage = rusage()
        if getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
            figures.cpuSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        }
        return figures
    }

    /// The second field of statm is the resident set in pages.
    private static func readResidentBytes() -> UInt64? {
        guard let file = fopen("/proc/self/statm", "re") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let fields = text.split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return nil }
        return pages &* UInt64(max(sysconf(Int32(_SC_PAGESIZE)), 0))
    }

    private static func countFileDescriptors() -> UInt64? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var entries: UInt64 = 0
        while readdir(directory) != nil { entries += 1 }
        // Without ".", ".." and the descriptor this was read through.
        return entries >= 3 ? entries - 3 : 0
    }

    private static func seconds(_ time: timeval) -> Double {
        Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000
    }
}
