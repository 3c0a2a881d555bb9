import CLibssh2

/// A channel of an `SSHEngine`; dead once freed.
struct EngineChannel {
    let pointer: OpaquePointer
    /// Our own number of it, when known.
    var number: UInt32?
    /// What it is most likely, until data has come.
    var likelyNumber: UInt32?
    /// Our end broke, and the manager is to know before it is closed.
    var isBroken = false
}

/// A remote forward of an `SSHEngine`; dead once cancelled.
struct EngineListener {
    let pointer: OpaquePointer
    let address: String
    let port: UInt16
}
