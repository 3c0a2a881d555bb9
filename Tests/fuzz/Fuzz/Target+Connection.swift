import NIOCore
import SSHProtocol

extension Target {
    private static func message(_ number: UInt8, _ body: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var buffer = ByteBuffer(integer: number)
        body(&buffer)
        return buffer
    }

    private static func session() -> [ByteBuffer] {
        let open = message(90) {
            $0.writeSSHString("direct-tcpip")
            $0.writeInteger(7 as UInt32)
            $0.writeInteger(1 << 20 as UInt32)
            $0.writeInteger(1 << 15 as UInt32)
            $0.writeSSHString("hello")
            $0.writeInteger(80 as UInt32)
            $0.writeSSHString("127.0.0.1")
            $0.writeInteger(1234 as UInt32)
        }
        let exec = message(98) {
            $0.writeInteger(0 as UInt32)
            $0.writeSSHString("exec")
            $0.writeSSHBoolean(true)
            $0.writeSSHString("status")
        }
        let forward = message(80) {
            $0.writeSSHString("tcpip-forward")
            $0.writeSSHBoolean(true)
            $0.writeSSHString("localhost")
            $0.writeInteger(8080 as UInt32)
        }
        let data = message(94) {
            $0.writeInteger(0 as UInt32)
            $0.writeSSHString("data")
        }
        let adjust = message(93) {
            $0.writeInteger(0 as UInt32)
            $0.writeInteger(4096 as UInt32)
        }
        return [open, exec, forward, data, adjust] + [96, 97].map { message($0) { $0.writeInteger(0 as UInt32) } }
    }

    static let connection: [Target] = [
        Target(name: "connection") {
            [framed(session())]
        } run: { bytes in
            var machine = ConnectionMachine()
            let confirmed = machine.open(type: "forwarded-tcpip")
            do throws(Disconnect) {
                for payload in payloads(in: bytes) {
                    switch try machine.receive(payload) {
                    case .open(let id, .session), .open(let id, .directTCPIP): machine.confirm(id)
                    case .open(let id, _): machine.refuse(id, OpenFailure(.connectFailed, "no"))
                    case .data(let id, let data): machine.consume(id, data.readableBytes)
                    case .eof(let id): machine.close(id)
                    case .windowOpened(let id): _ = machine.grant(id, wanted: 1 << 20)
                    case .channelRequest(let id, _, let wantsReply):
                        if wantsReply { machine.answerChannelRequest(id, succeeded: true) }
                    case .globalRequest(_, let wantsReply):
                        if wantsReply { machine.answerGlobalRequest(machine.newestGlobalRequest, succeeded: true) }
                    default: break
                    }
                    let count = machine.channelCount
                    precondition(count <= machine.limits.channels)
                    machine.outbox.removeAll(keepingCapacity: true)
                    machine.adjustments.removeAll(keepingCapacity: true)
                }
            } catch {}
            if let confirmed { machine.close(confirmed) }
        },
        Target(name: "dial-frame") {
            var frame = ByteBuffer()
            frame.writeSSHString { buffer in
                buffer.writeInteger(1 as UInt8)
                buffer.writeInteger(5 as UInt32)
                buffer.writeSSHString("hello")
                buffer.writeInteger(80 as UInt32)
                buffer.writeSSHString("127.0.0.1")
                buffer.writeInteger(1234 as UInt32)
            }
            return [Array(frame.readableBytesView)]
        } run: { bytes in
            for sender in [Role.client, .server] {
                var buffer = ByteBuffer(bytes: bytes)
                do throws(Disconnect) {
                    while try DialFrame.read(from: &buffer, sentBy: sender) != nil {}
                } catch {}
            }
        },
    ]
}
