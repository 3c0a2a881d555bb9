extension String {
    /// The text as it may appear in a log line or an answer: printable ASCII, the rest as `?`, at most 128 characters.
    var printable: String {
        let limit = 128
        let shown = utf8.prefix(limit).map { (0x20...0x7e).contains($0) ? $0 : UInt8(ascii: "?") }
        return String(decoding: shown, as: UTF8.self) + (utf8.count > limit ? "…" : "")
    }
}
