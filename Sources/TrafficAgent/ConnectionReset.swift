import CLinux

/// Ends a connection so that its peer sees a reset, as if nobody had listened.
enum ConnectionReset {
    static func reset(_ descriptor: CInt) { clinux_reset(descriptor) }
}
