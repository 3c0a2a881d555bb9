package import NIOCore

/// An address could not be listened on.
package struct ListenError: Error, CustomStringConvertible {
    package let address: SocketAddress
    package let error: any Error

    package init(address: SocketAddress, error: any Error) {
        self.address = address
        self.error = error
    }

    package var description: String {
        "cannot listen on \(address.text): \(SystemErrorText.text(of: error))"
    }
}
