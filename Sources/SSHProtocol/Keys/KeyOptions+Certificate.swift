import NIOCore

extension KeyOptions {
    /// The options within a certificate: nothing is permitted but what its extensions name (auth-options.c,
    /// sshauthopt_from_cert). Unknown extensions are ignored.
    /// - Throws: `KeyError` for an unknown or ill-formed critical option.
    init(certificate: Certificate) throws(KeyError) {
        self.init(origin: "the certificate")
        permissions.permitsPortForwarding = false
        permissions.permitsAgentForwarding = false
        permissions.permitsX11Forwarding = false
        permissions.permitsPTY = false
        permissions.permitsUserRC = false
        for option in certificate.criticalOptions {
            switch option.name {
            case "force-command":
                guard permissions.forcedCommand == nil else {
                    throw KeyError("certificate has two force-command options")
                }
                permissions.forcedCommand = try Self.text(of: option)
            case "source-address":
                guard sourceRanges == nil else { throw KeyError("certificate has two source-address options") }
                sourceRanges = try Self.text(of: option)
            case "verify-required":
                try Self.checkEmpty(option)
                permissions.requiresUserVerification = true
            default:
                throw KeyError("certificate's critical option \(option.name.printable) is not supported")
            }
        }
        for option in certificate.extensions {
            switch option.name {
            case "permit-port-forwarding": permissions.permitsPortForwarding = true
            case "permit-agent-forwarding": permissions.permitsAgentForwarding = true
            case "permit-X11-forwarding": permissions.permitsX11Forwarding = true
            case "permit-pty": permissions.permitsPTY = true
            case "permit-user-rc": permissions.permitsUserRC = true
            case "no-touch-required": permissions.requiresUserPresence = false
            default: continue
            }
            try Self.checkEmpty(option)
        }
        if certificate.validBefore < UInt64(Int64.max) { permissions.expires = Int64(certificate.validBefore) }
    }

    private static func text(of option: Certificate.Option) throws(KeyError) -> String {
        var data = ByteBuffer(bytes: option.data)
        guard let text = data.readSSHText(), data.readableBytes == 0 else {
            throw KeyError("certificate's option \(option.name) is malformed")
        }
        return text
    }

    private static func checkEmpty(_ option: Certificate.Option) throws(KeyError) {
        guard option.data.isEmpty else { throw KeyError("certificate's option \(option.name) has data after it") }
    }

    /// What both the line of the authority and the certificate allow (auth-options.c, sshauthopt_merge).
    func merged(with certificate: KeyOptions) throws(KeyError) -> KeyPermissions {
        let other = certificate.permissions
        var result = permissions
        if permissions.permitsPortForwarding && !other.permitsPortForwarding {
            result.permitsPortForwarding = false
            result.portForwardingWithheldBy = other.origin
        }
        result.permitsAgentForwarding = permissions.permitsAgentForwarding && other.permitsAgentForwarding
        result.permitsX11Forwarding = permissions.permitsX11Forwarding && other.permitsX11Forwarding
        result.permitsPTY = permissions.permitsPTY && other.permitsPTY
        result.permitsUserRC = permissions.permitsUserRC && other.permitsUserRC
        result.requiresUserPresence = permissions.requiresUserPresence || other.requiresUserPresence
        result.requiresUserVerification = permissions.requiresUserVerification || other.requiresUserVerification
        if let expires = other.expires { result.expires = min(expires, permissions.expires ?? expires) }
        if let command = other.forcedCommand {
            guard permissions.forcedCommand.map({ $0.utf8.elementsEqual(command.utf8) }) ?? true else {
                throw KeyError("the commands forced by the line and by the certificate differ")
            }
            result.forcedCommand = command
        }
        return result
    }
}
