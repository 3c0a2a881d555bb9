extension String {
    /// Safe to print: a `?` for every control character, and no more than a line's worth.
    var shown: String {
        String(
            String.UnicodeScalarView(unicodeScalars.prefix(256).map { $0.value < 0x20 || $0.value == 0x7f ? "?" : $0 }))
    }
}
