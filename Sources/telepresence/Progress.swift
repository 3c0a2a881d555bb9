import Glibc
import Synchronization

/// A line on the terminal for what takes over a second, gone when it is done; nothing where there is no terminal.
final class Progress: Sendable {
    private let text: Mutex<String>
    private let task: Mutex<Task<Void, Never>?>

    init(_ text: String) {
        self.text = Mutex(text)
        task = Mutex(nil)
        guard isatty(STDERR_FILENO) == 1 else { return }
        let ticker = Task { [weak self] in
            var seconds = 0
            while (try? await Task.sleep(for: .seconds(1))) != nil {
                seconds += 1
                guard let text = self?.text.withLock({ $0 }) else { break }
                Exit.write("\r\u{1b}[K\(text) \(seconds) s", to: STDERR_FILENO)
            }
            if seconds > 0 { Exit.write("\r\u{1b}[K", to: STDERR_FILENO) }
        }
        task.withLock { $0 = ticker }
    }

    /// What it is that takes so long now.
    func show(_ text: String) { self.text.withLock { $0 = text } }

    /// The line is gone when this returns.
    func stop() async {
        let ticker = task.withLock { task in
            defer { task = nil }
            return task
        }
        ticker?.cancel()
        await ticker?.value
    }
}
