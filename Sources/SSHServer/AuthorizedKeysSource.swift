import NIOConcurrencyHelpers
package import SSHProtocol

/// The keys that may log in, replaced as a whole when their file changes. A login uses what is current at that moment.
package final class AuthorizedKeysSource: Sendable {
    private let box: NIOLockedValueBox<AuthorizedKeys>

    package init(_ keys: AuthorizedKeys) {
        box = NIOLockedValueBox(keys)
    }

    package var current: AuthorizedKeys {
        get { box.withLockedValue { $0 } }
        set { box.withLockedValue { $0 = newValue } }
    }
}
