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
        // Each byte is something that a client or the server does; every answer has to be what the file had when it was
        // asked for, or has had since.
        Target(name: "sftp-read-ahead") {
            [0, 1, 2, 3].flatMap { kind in
                [
                    [kind, 0, 0, 3, 0, 0, 3, 0, 2, 0, 2, 250, 3, 0, 0, 3, 246, 0, 0, 3],
                    [kind] + (0..<64).map { $0 * 4 % 251 },
                ]
            }
        } run: { bytes in
            guard let kind = bytes.first else { return }
            var rig = ReadAheadRig(opensAndReads: kind & 1 != 0, size: kind & 2 != 0 ? 300_000 : 5000)
            for byte in bytes.dropFirst() { rig.act(byte) }
            rig.serveAll()
            precondition(rig.due.isEmpty, "reads that were never answered")
            precondition(rig.machine.waitingSince == nil, "an answer is missed that came")
        },
    ]
}

/// One file of which each byte tells its place and the version that it is of.
private struct ReadAheadRig {
    private static let piece: UInt32 = 4096

    var machine = SFTPReadAhead()
    /// Reads of the client, by their numbers: what may come.
    var due: [UInt32: (offset: Int, length: Int, version: Int)] = [:]
    private var asked: [ByteBuffer] = []
    private var version = 0
    private var cursor = 0
    private var lastID: UInt32 = 0
    private var opens: UInt32 = 0
    private var now = NIODeadline.uptimeNanoseconds(1)

    private let size: Int

    init(opensAndReads: Bool, size: Int) {
        self.size = size
        var version = SFTPWriter()
        version.version(opensAndReads ? [.openRead] : [])
        run(machine.fromServer(version.bytes, now: now))
        open()
    }

    private static func byte(_ offset: Int, _ version: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: offset / 97 + version * 53)
    }

    mutating func act(_ byte: UInt8) {
        let argument = Int(byte >> 2)
        switch byte & 3 {
        case 0: read(cursor, Self.piece)
        case 1: read(argument * 5000, UInt32(1 + argument * 100))
        case 2 where argument == 62: write()
        case 2 where argument == 61: now = now + .seconds(2)
        case 2 where argument == 60: open()
        case 2: serve()
        default: serveAll()
        }
    }

    private mutating func send(_ type: SFTPPacketType, _ write: (inout SFTPWriter) -> Void) {
        lastID += 1
        var writer = SFTPWriter()
        writer.begin(type, id: lastID)
        write(&writer)
        writer.end()
        run(machine.fromClient(writer.bytes, now: now))
    }

    private func handle(_ writer: inout SFTPWriter) {
        writer.write(UInt32(SFTPHandle.length))
        writer.write(UInt8(1))
        writer.write(opens)
    }

    /// Another one of the same file; what was asked of the first is answered still.
    private mutating func open() {
        if opens > 0 { send(.close) { [self] in handle(&$0) } }
        serveAll()
        send(.open) { writer in
            writer.write("/a")
            writer.write(UInt32(1))
            writer.write(UInt32(0))
        }
        opens += 1
        serveAll()
        cursor = 0
    }

    private mutating func read(_ offset: Int, _ length: UInt32) {
        due[lastID + 1] = (offset, Int(length), version)
        cursor = offset + Int(length)
        send(.read) { [self] writer in
            handle(&writer)
            writer.write(UInt64(offset))
            writer.write(length)
        }
    }

    private mutating func write() {
        send(.write) { [self] writer in
            handle(&writer)
            writer.write(UInt64(0))
            writer.write("x")
        }
        serveAll()
    }

    mutating func serveAll() { while !asked.isEmpty { serve() } }

    private mutating func serve() {
        guard !asked.isEmpty else { return }
        var request = asked.removeFirst()
        request.moveReaderIndex(forwardBy: 4)
        let type = request.readInteger(as: UInt8.self).flatMap(SFTPPacketType.init)
        let id = request.readInteger(as: UInt32.self) ?? 0
        var writer = SFTPWriter()
        switch type {
        case .open: writer.handle(SFTPHandle(server: 1, number: opens), id: id)
        case .extended:
            let parts = request.readableBytesView.suffix(8)
            let number = parts.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            writer.handle(SFTPHandle(server: 1, number: opens), id: id)
            let length = min(size, parts.suffix(4).reduce(0) { $0 << 8 | Int($1) })
            writer.begin(.data, id: number)
            (0..<length).map { Self.byte($0, version) }.withUnsafeBytes { writer.write($0) }
            writer.end()
        case .read:
            request.moveReaderIndex(forwardBy: 9)
            let offset = Int(request.readInteger(as: UInt64.self) ?? 0)
            let length = min(Int(request.readInteger(as: UInt32.self) ?? 0), max(0, size - offset))
            guard length > 0 else {
                writer.status(.endOfFile, id: id)
                break
            }
            let data = (offset..<offset + length).map { Self.byte($0, version) }
            writer.begin(.data, id: id)
            data.withUnsafeBytes { writer.write($0) }
            writer.end()
        case .write:
            version += 1
            writer.status(.ok, id: id)
        default: writer.status(.ok, id: id)
        }
        run(machine.fromServer(writer.bytes, now: now))
    }

    private mutating func run(_ effects: [SFTPReadAhead.Effect]) {
        var forClient = ByteBuffer()
        for effect in effects {
            switch effect {
            case .toClient(let bytes): forClient.writeImmutableBuffer(bytes)
            case .toServer(let bytes): asked.append(bytes)
            }
        }
        while let length = forClient.readInteger(as: UInt32.self), var answer = forClient.readSlice(length: Int(length))
        {
            let type = answer.readInteger(as: UInt8.self).flatMap(SFTPPacketType.init)
            let id = answer.readInteger(as: UInt32.self) ?? 0
            guard let expected = due.removeValue(forKey: id) else {
                precondition(type != .data, "data that nobody asked for")
                continue
            }
            let length = min(expected.length, max(0, size - expected.offset))
            guard type == .data else {
                precondition(length == 0, "an end where there is none")
                continue
            }
            answer.moveReaderIndex(forwardBy: 4)
            precondition(answer.readableBytes == length, "more or less than was asked for")
            let isRight = (expected.version...version).contains { version in
                answer.readableBytesView.enumerated().allSatisfy { $1 == Self.byte(expected.offset + $0, version) }
            }
            precondition(isRight, "bytes of another place or time")
        }
    }
}
