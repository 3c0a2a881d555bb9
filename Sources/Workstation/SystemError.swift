import Glibc

/// What the system said, in its own words.
enum SystemError {
    static func text(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
}
