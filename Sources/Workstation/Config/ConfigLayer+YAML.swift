import Yams

extension ConfigLayer {
    /// As a configuration file would have it.
    package var yaml: String {
        get throws { try YAMLEncoder().encode(self) }
    }
}
