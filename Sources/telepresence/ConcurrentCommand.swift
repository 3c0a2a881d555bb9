import ArgumentParser

/// A command that is run beside the main thread, which waits for signals.
protocol ConcurrentCommand: AsyncParsableCommand, Sendable {
    /// Whether it makes something of signals; otherwise they end it.
    static var takesSignals: Bool { get }
}

extension ConcurrentCommand {
    static var takesSignals: Bool { false }
}
