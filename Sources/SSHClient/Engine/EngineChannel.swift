/// A channel of an `SSHEngine`; dead once freed.
struct EngineChannel {
    enum Handle {
        case libssh2(OpaquePointer)
        case native(NativeChannel)
    }

    let handle: Handle
    /// Our own number of it, when known.
    var number: UInt32?
    /// What it is most likely, until data has come.
    var likelyNumber: UInt32?
    /// Our end broke, and the manager is to know before it is closed.
    var isBroken = false
}

/// A remote forward of an `SSHEngine`; dead once cancelled.
struct EngineListener {
    enum Handle {
        case libssh2(OpaquePointer)
        case native(NativeListener)
    }

    let handle: Handle
    let address: String
    /// The one that was bound.
    let port: UInt16
}
