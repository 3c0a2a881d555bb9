import NIOCore
import SFTP

extension Target {
    /// A client's bytes and a server's in turn, each after its length in one byte; a server's answers have the number of the
    /// last request, as who would harm a client has to be asked first.
    static let sftp: [Target] = [
        Target(name: "sftp-router") {
            let stat: [UInt8] = [0, 0, 0, 14, 17, 0, 0, 0, 1, 0, 0, 0, 5] + Array("/a/bc".utf8)
            let read: [UInt8] =
                [0, 0, 0, 26, 5, 0, 0, 0, 2, 0, 0, 0, 5, 1, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 12)
            let answer: [UInt8] = [0, 0, 0, 5, 2, 0, 0, 0, 3, 0, 0, 0, 9, 101, 0, 0, 0, 1, 0, 0, 0, 0]
            return [
                [UInt8(stat.count)] + stat + [UInt8(answer.count)] + answer + [UInt8(read.count)] + read
                    + [UInt8(answer.count)] + answer
            ]
        } run: { bytes in
            var router = SFTPRouter()
            var asked: Set<UInt8> = []
            var (isEnded, isServers) = (false, false)
            func look(_ effects: [SFTPRouter.Effect]) {
                for effect in effects {
                    switch effect {
                    case .toClient(let bytes): precondition(bytes.readableBytes >= 9, "an answer without a header")
                    case .toServer(let number, let bytes):
                        precondition(asked.contains(number), "bytes for a server that was never opened")
                        precondition(bytes.readableBytes >= 9, "a request without a header")
                    case .open(let number, _): asked.insert(number)
                    case .listWorkloads: break
                    case .end: isEnded = true
                    }
                }
            }
            var rest = bytes[...]
            while let length = rest.popFirst() {
                let piece = ByteBuffer(bytes: rest.prefix(Int(length)))
                rest = rest.dropFirst(Int(length))
                look(isServers ? router.received(piece, from: 1) : router.received(piece))
                for number in asked { look(router.opened(number)) }
                look(router.workloads(["a"]))
                if isEnded { break }
                isServers.toggle()
            }
            for number in asked { look(router.ended(number, "gone")) }
        },
        // The tree is empty: what is looked at is how requests are read.
        Target(name: "sftp-server") {
            [[0, 0, 0, 5, 1, 0, 0, 0, 3, 0, 0, 0, 13, 11, 0, 0, 0, 1, 0, 0, 0, 4] + Array("/a/b".utf8)]
        } run: { bytes in
            let server = FileServer(tree: FileTree(root: "/a", mounts: []))
            guard let answers = server.answer(bytes) else { return }
            precondition(answers.isEmpty || answers.count >= 9, "an answer without a header")
        },
    ]
}
