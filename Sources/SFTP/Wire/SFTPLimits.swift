/// What one connection may have, as OpenSSH's server does (sftp-common.h).
package enum SFTPLimits {
    /// SFTP_MAX_MSG_LENGTH.
    package static let maximumPacket = 256 * 1024
    /// SFTP_MAX_READ_LENGTH: with room for what stands before the data.
    package static let maximumRead = maximumPacket - 1024
    package static let maximumWrite = maximumPacket - 1024
    /// Files and directories that are open: a descriptor each.
    package static let maximumHandles = 1024
    /// A request that is no write has two paths at most.
    package static let maximumSmallPacket = 64 * 1024
}
