#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The times of `expiry-time` (ssh-keygen(1), VALIDITY): `YYYYMMDD` or `YYYYMMDDHHMM[SS]`, with `Z` or `UTC` after it, or
/// in the zone of this machine.
enum ExpiryTime {
    /// Seconds since 1970; `nil` for what is no such time, a day that does not exist included.
    static func parse(_ text: String) -> Int64? {
        var digits = Array(text.utf8)[...]
        var isUTC = false
        for suffix in ["z", "utc"] where digits.count > suffix.utf8.count {
            if Array(digits.suffix(suffix.utf8.count)).lowercased.elementsEqual(suffix.utf8) {
                digits = digits.dropLast(suffix.utf8.count)
                isUTC = true
                break
            }
        }
        guard [8, 12, 14].contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        func number(_ offset: Int, _ count: Int) -> Int {
            digits.dropFirst(offset).prefix(count).reduce(0) { $0 * 10 + Int($1 - 0x30) }
        }
        let (year, month, day) = (number(0, 4), number(4, 2), number(6, 2))
        let (hour, minute, second) = (number(8, 2), number(10, 2), number(12, 2))
        guard year >= 1970, (1...12).contains(month), (1...daysInMonth(month, of: year)).contains(day), hour < 24,
            minute < 60, second <= 60
        else { return nil }
        if isUTC {
            return Int64(daysSince1970(year, month, day)) * 86400 + Int64(hour * 3600 + minute * 60 + second)
        }
        var time = tm()
        time.tm_year = Int32(year - 1900)
        time.tm_mon = Int32(month - 1)
        time.tm_mday = Int32(day)
        time.tm_hour = Int32(hour)
        time.tm_min = Int32(minute)
        time.tm_sec = Int32(second)
        // Whether summer time holds then is the zone's to say.
        time.tm_isdst = -1
        let seconds = mktime(&time)
        return seconds < 0 ? nil : Int64(seconds)
    }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func daysInMonth(_ month: Int, of year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let past = year - 1
        let leapDays = past / 4 - past / 100 + past / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400)
        return (year - 1970) * 365 + leapDays + (1..<month).reduce(0) { $0 + daysInMonth($1, of: year) } + day - 1
    }
}
