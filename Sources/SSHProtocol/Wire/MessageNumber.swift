/// The first byte of a payload (RFC 4250 §4.1, and OpenSSH's PROTOCOL for 192 and 193).
package enum MessageNumber {
    package static let disconnect: UInt8 = 1
    package static let ignore: UInt8 = 2
    package static let unimplemented: UInt8 = 3
    package static let debug: UInt8 = 4
    package static let serviceRequest: UInt8 = 5
    package static let serviceAccept: UInt8 = 6
    package static let extInfo: UInt8 = 7
    package static let newCompress: UInt8 = 8
    package static let kexInit: UInt8 = 20
    package static let newKeys: UInt8 = 21
    /// SSH_MSG_KEX_ECDH_INIT, SSH_MSG_KEXDH_INIT and SSH_MSG_KEX_HYBRID_INIT share the number.
    package static let kexECDHInit: UInt8 = 30
    package static let kexECDHReply: UInt8 = 31
    package static let userauthRequest: UInt8 = 50
    package static let userauthFailure: UInt8 = 51
    package static let userauthSuccess: UInt8 = 52
    package static let userauthBanner: UInt8 = 53
    package static let userauthPKOK: UInt8 = 60
    package static let globalRequest: UInt8 = 80
    package static let requestSuccess: UInt8 = 81
    package static let requestFailure: UInt8 = 82
    package static let channelOpen: UInt8 = 90
    package static let channelOpenConfirmation: UInt8 = 91
    package static let channelOpenFailure: UInt8 = 92
    package static let channelWindowAdjust: UInt8 = 93
    package static let channelData: UInt8 = 94
    package static let channelExtendedData: UInt8 = 95
    package static let channelEOF: UInt8 = 96
    package static let channelClose: UInt8 = 97
    package static let channelRequest: UInt8 = 98
    package static let channelSuccess: UInt8 = 99
    package static let channelFailure: UInt8 = 100
    package static let ping: UInt8 = 192
    package static let pong: UInt8 = 193
}
