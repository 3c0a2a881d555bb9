import Glibc

/// A line of `ls -l`, which clients show as it is.
enum LongName {
    static func text(_ name: String, _ status: stat) -> String {
        var time = status.st_mtim.tv_sec
        var parts = tm()
        localtime_r(&time, &parts)
        var date = [CChar](repeating: 0, count: 32)
        // Half a year away the year says more than the hour.
        let isNear = abs(Glibc.time(nil) - status.st_mtim.tv_sec) < 182 * 86_400
        let length = strftime(&date, date.count, isNear ? "%b %e %H:%M" : "%b %e  %Y", &parts)
        let when = String(decoding: date[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        func padded(_ value: some BinaryInteger, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: " ", count: max(0, width - digits.count)) + digits
        }
        return
            "\(mode(status.st_mode)) \(padded(status.st_nlink, 3)) \(padded(status.st_uid, 8)) "
            + "\(padded(status.st_gid, 8)) \(padded(status.st_size, 8)) \(when) \(name)"
    }

    private static func mode(_ mode: mode_t) -> String {
        let type =
            switch mode & S_IFMT {
            case S_IFDIR: "d"
            case S_IFLNK: "l"
            case S_IFIFO: "p"
            case S_IFSOCK: "s"
            case S_IFCHR: "c"
            case S_IFBLK: "b"
            default: "-"
            }
        let letters = Array("rwxrwxrwx")
        let bits = (0..<9).map { mode & (0o400 >> mode_t($0)) != 0 ? letters[$0] : "-" }
        return type + String(bits)
    }
}
