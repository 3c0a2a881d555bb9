/// A session that is not kept alive by who holds this.
final class WeakHandler {
    private(set) weak var session: SSHClientHandler?

    init(_ session: SSHClientHandler) { self.session = session }
}
