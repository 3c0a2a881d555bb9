import CLibssh2

/// A channel of an `SSHEngine`; dead once freed.
struct EngineChannel {
    let pointer: OpaquePointer
    /// Our own number of it, when known.
    var number: UInt32?
}

/// A remote forward of an `SSHEngine`; dead once cancelled.
struct EngineListener {
    let pointer: OpaquePointer
}
