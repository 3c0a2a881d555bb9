extension String {
    /// As it may be shown again: without control characters, which a terminal would obey, and not at any length.
    package var shortened: String { shortened(to: 100) }

    /// As `shortened`, up to `limit` scalars.
    package func shortened(to limit: Int) -> String {
        var shown = ""
        for (index, scalar) in unicodeScalars.enumerated() {
            guard index < limit else { return shown + "…" }
            switch scalar.properties.generalCategory {
            // Format characters turn the direction of what follows.
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                shown += "?"
            default:
                shown.unicodeScalars.append(scalar)
            }
        }
        return shown
    }
}
