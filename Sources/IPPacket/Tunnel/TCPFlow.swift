/// A TCP connection of an app, and what its packets become.
///
/// States: dialing → opening → open → over. A connection that is over stays a while for what is sent again.
struct TCPFlow {
    enum State {
        /// The destination is dialed; the app's SYN is held.
        case dialing
        /// The SYN has gone to the listener, and the app has not acknowledged the answer.
        case opening
        case open
        /// Both have sent FIN, or one RST.
        case over
    }

    let key: FlowKey
    let id: TCPFlowID
    let link: TunnelLink
    var state = State.dialing
    var syn: HeldSYN
    var appEnded = false
    var listenerEnded = false
    /// The accepted socket is closed: what the kernel still has of it is all there is.
    var isReleased = false
    let toListener: Rewriting
    let toApp: Rewriting

    init(key: FlowKey, id: TCPFlowID, link: TunnelLink, syn: HeldSYN) {
        self.key = key
        self.id = id
        self.link = link
        self.syn = syn
        let app = Rewriting.Ends(
            source: key.source, sourcePort: key.sourcePort, destination: key.destination,
            destinationPort: key.destinationPort)
        let listener = Rewriting.Ends(
            source: link.peer, sourcePort: id.port, destination: link.address, destinationPort: link.listenerPort)
        toListener = Rewriting(from: app, to: listener)
        toApp = Rewriting(from: listener.reversed, to: app.reversed)
    }
}
