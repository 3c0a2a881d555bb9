/// Protocol numbers of IPv4, next headers of IPv6 (IANA).
package enum InternetProtocol {
    package static let icmp: UInt8 = 1
    package static let tcp: UInt8 = 6
    package static let udp: UInt8 = 17
    package static let icmpV6: UInt8 = 58

    static let hopByHopOptions: UInt8 = 0
    static let routing: UInt8 = 43
    static let fragment: UInt8 = 44
    static let destinationOptions: UInt8 = 60
}
