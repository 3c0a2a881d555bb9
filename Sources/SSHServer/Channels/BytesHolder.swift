/// What holds bytes of a channel that its other end has not taken: they count for the channel's session until it has,
/// beyond the channel's own end.
protocol BytesHolder: AnyObject {
    /// The session that they count for.
    var accountant: ServerConnection? { get set }
    /// As the session counts them.
    var heldBytes: Int { get set }

    /// Gives up what waits, and the other end with it.
    func abandon()
}

extension BytesHolder {
    /// Tells the session how much waits now.
    func account(_ held: Int) {
        guard held != heldBytes, let accountant else { return }
        let growth = held - heldBytes
        heldBytes = held
        accountant.heldBytesChanged(by: growth)
    }

    func stopAccounting() {
        guard let accountant else { return }
        self.accountant = nil
        accountant.forget(self)
        accountant.heldBytesChanged(by: -heldBytes)
        heldBytes = 0
    }
}
