import Glibc
package import NIOCore

/// Reads files before they are asked for: between a client that has few reads under way, as a mount has, and a server that is
/// far. Pure: bytes of both and the time go in, bytes for both come out.
///
/// A file that is opened for reading alone, and is read from front to back, is asked for in pieces of the size that the client
/// reads, further ahead the longer that lasts. A read that finds its piece is answered from it; what is asked for already
/// waits for it; everything else passes unchanged. Where the server can, its beginning comes with the answer to its opening, so
/// that a small file costs one round trip; its attributes behind its opening are asked for once. Whatever may change a file's
/// bytes makes all that is held void.
package struct SFTPReadAhead {
    package enum Effect: Hashable, Sendable {
        case toClient(ByteBuffer)
        case toServer(ByteBuffer)
    }

    /// How far ahead a file is read at first: what a kernel reads ahead by itself, twice.
    private static let leastAhead = 256 << 10
    /// And at most: 400 MB/s at 10 ms.
    static let mostAhead = 4 << 20
    /// Of all files at once.
    static let mostHeld = 16 << 20
    /// Of what comes with the opening: most files are smaller, and a slow line carries it in little more than one's way.
    static let headSize: UInt32 = 32 << 10
    /// More are read as they are asked for.
    private static let maximumFiles = 64
    /// A piece that nobody has asked for is void by then: less than a mount's own memory of a file's size and times.
    private static let lifetime = TimeAmount.seconds(3)
    /// Of what is told of a file that was opened just now.
    private static let attributesLifetime = TimeAmount.seconds(1)
    /// A mount's threads ask in some disorder: by so many pieces.
    private static let disorder: UInt64 = 8
    /// Our own requests' numbers begin here; a client that counts comes to it after 4 thousand million requests.
    private static let ownNumbers: UInt32 = 0xf000_0000

    private struct Piece {
        enum State {
            /// By the request of that number; and the client's own, once it waits for the piece.
            case asked(UInt32, client: UInt32?)
            /// The rest of a DATA packet behind its number.
            case here(ByteBuffer, since: NIODeadline)
        }

        var state: State
        let length: UInt32
    }

    /// A file's beginning, and all of it if that is less than `headSize`.
    private struct Head {
        let data: ByteBuffer
        let since: NIODeadline

        /// What a read at `offset` finds; `nil`: not all of what it asks for is here. Without bytes: the file's end.
        func slice(_ offset: UInt64, _ length: UInt32) -> ByteBuffer? {
            let count = UInt64(data.readableBytes)
            let isWhole = count < UInt64(SFTPReadAhead.headSize)
            guard isWhole || offset &+ UInt64(length) <= count, length > 0 else { return nil }
            let start = min(offset, count)
            return data.getSlice(
                at: data.readerIndex + Int(start), length: Int(min(UInt64(length), count - start)))
        }
    }

    private struct Opening {
        /// Of the request for the file's head, if there is one.
        var number: UInt32?
        /// What comes may be older than a change.
        var isVoid = false
    }

    /// The last open, and the attributes of its path that were asked for behind it, as sshfs does.
    private struct LastOpen {
        let number: UInt32
        let path: ByteBuffer
        var asksAttributes: UInt32?
        var handle: SFTPHandle?
        /// Those of a file, as they were answered.
        var attributes: ByteBuffer?
        var since = NIODeadline.distantPast
    }

    private struct File {
        /// The number of the request for it, until it is answered.
        var asksHead: UInt32?
        var head: Head?
        /// The size of the client's reads.
        var length: UInt32 = 0
        /// Behind the furthest of the client's reads.
        var next: UInt64 = 0
        /// Behind the furthest of ours.
        var end: UInt64 = 0
        /// -1: one read is no sign yet of another.
        var ahead = -1
        /// Its end was seen.
        var isWhole = false
        /// By offset.
        var pieces: [UInt64: Piece] = [:]
    }

    private var client = SFTPPackets()
    private var server = SFTPPackets(limit: SFTPLimits.maximumPacket + 1024)
    private var files: [SFTPHandle: File] = [:]
    /// The server opens and reads in one.
    private var opensAndReads = false
    /// Opens under way whose file would be read ahead.
    private var opening: [UInt32: Opening] = [:]
    private var lastOpen: LastOpen?
    private var heads: [UInt32: SFTPHandle] = [:]
    private var own: [UInt32: (handle: SFTPHandle, offset: UInt64)] = [:]
    private var lastOwn = SFTPReadAhead.ownNumbers
    private var held = 0
    /// What comes is none of what this understands: it passes.
    private var isTransparent = false
    /// The client's numbers have come to ours.
    private var isStopped = false
    private var effects: [Effect] = []
    /// Requests that the server has not answered.
    private var unanswered = 0
    /// Since when the server has owed an answer, without having given another; `nil`: it owes none.
    package private(set) var waitingSince: NIODeadline?

    package init() {}

    private mutating func taken() -> [Effect] {
        defer { effects = [] }
        return effects
    }

    // MARK: The client

    package mutating func fromClient(_ bytes: ByteBuffer, now: NIODeadline) -> [Effect] {
        guard !isTransparent else { return [.toServer(bytes)] }
        defer { if unanswered > 0, waitingSince == nil { waitingSince = now } }
        client.append(bytes)
        while let next = client.next() {
            guard case .packet(let packet) = next else {
                // It is the server's to judge.
                isTransparent = true
                effects.append(.toServer(client.rest()))
                break
            }
            request(packet, now)
        }
        return taken()
    }

    private mutating func request(_ packet: ByteBuffer, _ now: NIODeadline) {
        var rest = packet
        rest.moveReaderIndex(forwardBy: 4)
        let type = rest.readInteger(as: UInt8.self).flatMap(SFTPPacketType.init)
        let id = rest.readInteger(as: UInt32.self) ?? 0
        if id >= Self.ownNumbers, !isStopped {
            isStopped = true
            voidPieces()
        }
        switch type {
        case .read:
            if let handle = Self.handle(&rest), files[handle] != nil, let offset: UInt64 = rest.readInteger(),
                let length: UInt32 = rest.readInteger()
            {
                return read(packet, id, handle, offset, length, now)
            }
        case .lstat:
            if let path = Self.slice(&rest), lastOpen?.path == path { lastOpen?.asksAttributes = id }
        case .fstat:
            if let handle = Self.handle(&rest), let attributes = attributes(of: handle, now) {
                return answer(attributes, id, .attributes)
            }
        case .open:
            var text = rest
            lastOpen = Self.slice(&text).map { LastOpen(number: id, path: ByteBuffer(bytes: $0.readableBytesView)) }
            guard let path = rest.readInteger(as: UInt32.self) else { break }
            let flags = rest.getInteger(at: rest.readerIndex + Int(path), as: UInt32.self) ?? ~0
            if flags == Self.reads {
                if files.count + opening.count < Self.maximumFiles { return open(packet, id, path) }
            } else {
                voidPieces()
            }
        case .close:
            if let handle = Self.handle(&rest) { forget(handle) }
        case .write, .setstat, .fsetstat:
            lastOpen = nil
            voidPieces()
        case .remove, .rename, .extended: lastOpen = nil
        default: break
        }
        ask(packet)
    }

    /// What FSTAT would be answered: the same as LSTAT behind the open, where it is not a link. A mount remembers such for
    /// much longer.
    private mutating func attributes(of handle: SFTPHandle, _ now: NIODeadline) -> ByteBuffer? {
        guard let open = lastOpen, open.handle == handle, now - open.since <= Self.attributesLifetime else {
            return nil
        }
        lastOpen = nil
        return open.attributes
    }

    private mutating func answered(_ type: SFTPPacketType?, _ rest: ByteBuffer, _ id: UInt32, _ now: NIODeadline) {
        guard let open = lastOpen else { return }
        var rest = rest
        if open.number == id {
            lastOpen?.handle = type == .handle ? Self.handle(&rest) : nil
        } else if open.asksAttributes == id, type == .attributes {
            let attributes = rest.withUnsafeReadableBytes { bytes in
                var reader = SFTPReader(bytes)
                return try? SFTPAttributes(&reader)
            }
            guard let attributes, let permissions = attributes.permissions, permissions & S_IFMT == S_IFREG else {
                return
            }
            lastOpen?.attributes = rest
            lastOpen?.since = now
        }
    }

    private static func slice(_ bytes: inout ByteBuffer) -> ByteBuffer? {
        guard let length: UInt32 = bytes.readInteger() else { return nil }
        return bytes.readSlice(length: Int(length))
    }

    /// Opens a file that may be read ahead; the rest of `packet` begins with the length of its path.
    private mutating func open(_ packet: ByteBuffer, _ id: UInt32, _ length: UInt32) {
        guard opensAndReads, !isStopped, held + Int(Self.headSize) <= Self.mostHeld,
            let path = packet.getSlice(at: packet.readerIndex + 13, length: Int(length))
        else {
            opening[id] = Opening()
            return ask(packet)
        }
        let number = nextNumber()
        opening[id] = Opening(number: number)
        held += Int(Self.headSize)
        var writer = SFTPWriter(capacity: 64 + Int(length))
        writer.begin(.extended, id: id)
        writer.write(SFTPExtension.openRead.rawValue)
        path.withUnsafeReadableBytes { writer.write($0) }
        writer.write(number)
        writer.write(Self.headSize)
        writer.end()
        // Two answers come.
        unanswered += 1
        ask(writer.bytes)
    }

    private mutating func nextNumber() -> UInt32 {
        repeat {
            lastOwn = lastOwn == .max ? Self.ownNumbers : lastOwn + 1
        } while own[lastOwn] != nil || heads[lastOwn] != nil
        return lastOwn
    }

    /// SSH_FXF_READ (draft-ietf-secsh-filexfer-02 §6.3).
    private static let reads: UInt32 = 1

    private static func handle(_ bytes: inout ByteBuffer) -> SFTPHandle? {
        guard let length: UInt32 = bytes.readInteger(), length == SFTPHandle.length,
            let string = bytes.readSlice(length: SFTPHandle.length)
        else { return nil }
        return string.withUnsafeReadableBytes { SFTPHandle($0) }
    }

    private mutating func read(
        _ packet: ByteBuffer, _ id: UInt32, _ handle: SFTPHandle, _ offset: UInt64, _ length: UInt32, _ now: NIODeadline
    ) {
        guard var file = files.removeValue(forKey: handle) else { return }
        defer { files[handle] = file }
        if let head = file.head, now - head.since <= Self.lifetime, let data = head.slice(offset, length) {
            return answer(data, of: &file, id, offset, length)
        }
        let slack = Self.disorder * UInt64(length)
        let isAhead = offset <= file.end &+ slack && offset &+ slack >= file.next
        if length != file.length || !isAhead { restart(&file, at: offset, length) }
        switch file.pieces[offset]?.state {
        case .here(let data, let since) where now - since <= Self.lifetime:
            drop(offset, of: &file)
            answer(data, id)
        case .asked(let number, client: nil):
            file.pieces[offset]?.state = .asked(number, client: id)
        default:
            drop(offset, of: &file)
            ask(packet)
        }
        file.next = max(file.next, offset &+ UInt64(length))
        readAhead(&file, handle)
    }

    /// From the file's head; what comes behind that is read ahead no sooner than it is asked for.
    private mutating func answer(
        _ data: ByteBuffer, of file: inout File, _ id: UInt32, _ offset: UInt64, _ length: UInt32
    ) {
        var writer = SFTPWriter(capacity: 32)
        if data.readableBytes == 0 {
            writer.status(.endOfFile, id: id)
            return effects.append(.toClient(writer.bytes))
        }
        file.length = length
        file.next = offset &+ UInt64(data.readableBytes)
        file.end = max(file.end, file.next)
        file.ahead = max(file.ahead, 0)
        var header = ByteBufferAllocator().buffer(capacity: 13)
        header.writeInteger(UInt32(9 + data.readableBytes))
        header.writeInteger(SFTPPacketType.data.rawValue)
        header.writeInteger(id)
        header.writeInteger(UInt32(data.readableBytes))
        effects.append(.toClient(header))
        effects.append(.toClient(data))
    }

    /// Reading goes on somewhere else, or begins.
    private mutating func restart(_ file: inout File, at offset: UInt64, _ length: UInt32) {
        for offset in file.pieces.keys { drop(offset, of: &file) }
        file.length = length
        file.next = offset
        file.end = offset
        file.ahead = -1
    }

    private mutating func readAhead(_ file: inout File, _ handle: SFTPHandle) {
        guard file.length > 0, !file.isWhole, !isStopped else { return }
        file.ahead = file.ahead < 0 ? 0 : min(max(2 * file.ahead, Self.leastAhead), Self.mostAhead)
        file.end = max(file.end, file.next)
        if held + Int(file.length) > Self.mostHeld {
            // What was skipped, and is not asked for any more.
            for offset in file.pieces.keys where offset &+ Self.disorder * UInt64(file.length) < file.next {
                drop(offset, of: &file)
            }
        }
        while file.end < file.next &+ UInt64(file.ahead), held + Int(file.length) <= Self.mostHeld {
            if file.pieces[file.end] == nil { ask(&file, handle) }
            file.end &+= UInt64(file.length)
        }
    }

    private mutating func ask(_ packet: ByteBuffer) {
        unanswered += 1
        effects.append(.toServer(packet))
    }

    private mutating func ask(_ file: inout File, _ handle: SFTPHandle) {
        let number = nextNumber()
        own[number] = (handle, file.end)
        file.pieces[file.end] = Piece(state: .asked(number, client: nil), length: file.length)
        held += Int(file.length)
        var writer = SFTPWriter(capacity: 32)
        writer.begin(.read, id: number)
        writer.write(UInt32(SFTPHandle.length))
        writer.write(handle.server)
        writer.write(handle.number)
        writer.write(file.end)
        writer.write(file.length)
        writer.end()
        ask(writer.bytes)
    }

    /// Takes a piece out, but for one that the client waits for.
    private mutating func drop(_ offset: UInt64, of file: inout File) {
        guard let piece = file.pieces[offset] else { return }
        if case .asked(_, client: .some) = piece.state { return }
        take(offset, of: &file)
    }

    private mutating func take(_ offset: UInt64, of file: inout File) {
        if let piece = file.pieces.removeValue(forKey: offset) { held -= Int(piece.length) }
    }

    /// Also one that is still to come.
    private mutating func dropHead(of file: inout File) {
        guard file.head != nil || file.asksHead != nil else { return }
        file.head = nil
        file.asksHead = nil
        held -= Int(Self.headSize)
    }

    private mutating func voidPieces() {
        for id in opening.keys { opening[id]?.isVoid = true }
        for (handle, var file) in files {
            dropHead(of: &file)
            for offset in file.pieces.keys { drop(offset, of: &file) }
            files[handle] = file
        }
    }

    private mutating func forget(_ handle: SFTPHandle) {
        guard var file = files.removeValue(forKey: handle) else { return }
        dropHead(of: &file)
        for offset in file.pieces.keys { drop(offset, of: &file) }
        // A client that closes what it waits for gets its answers all the same.
        guard !file.pieces.isEmpty else { return }
        file.isWhole = true
        files[handle] = file
    }

    /// What a piece holds, as the answer to the client's own request.
    private mutating func answer(_ rest: ByteBuffer, _ id: UInt32, _ type: SFTPPacketType = .data) {
        var header = ByteBufferAllocator().buffer(capacity: 9)
        header.writeInteger(UInt32(5 + rest.readableBytes))
        header.writeInteger(type.rawValue)
        header.writeInteger(id)
        effects.append(.toClient(header))
        effects.append(.toClient(rest))
    }

    // MARK: The server

    package mutating func fromServer(_ bytes: ByteBuffer, now: NIODeadline) -> [Effect] {
        server.append(bytes)
        while let next = server.next() {
            guard case .packet(let packet) = next else {
                isTransparent = true
                effects.append(.toClient(server.rest()))
                break
            }
            reply(packet, now)
        }
        return taken()
    }

    private mutating func reply(_ packet: ByteBuffer, _ now: NIODeadline) {
        unanswered = max(0, unanswered - 1)
        waitingSince = unanswered > 0 ? now : nil
        var rest = packet
        rest.moveReaderIndex(forwardBy: 4)
        guard let kind = rest.readInteger(as: UInt8.self), let id = rest.readInteger(as: UInt32.self) else { return }
        let type = SFTPPacketType(rawValue: kind)
        if let (handle, offset) = own.removeValue(forKey: id) {
            return piece(type ?? .status, rest, id, handle, offset, now)
        }
        if let handle = heads.removeValue(forKey: id) { return head(type, rest, id, handle, now) }
        answered(type, rest, id, now)
        if type == .version { opensAndReads = Self.knowsOpenRead(rest) }
        if let opening = opening.removeValue(forKey: id) { opened(type, rest, opening) }
        effects.append(.toClient(packet))
    }

    /// What is announced behind a version's number.
    private static func knowsOpenRead(_ bytes: ByteBuffer) -> Bool {
        var rest = bytes
        while let name = string(&rest), string(&rest) != nil {
            if name == SFTPExtension.openRead.rawValue { return true }
        }
        return false
    }

    private static func string(_ bytes: inout ByteBuffer) -> String? {
        slice(&bytes).map { String(buffer: $0) }
    }

    /// The answer to an open, behind which the head comes if it was asked for.
    private mutating func opened(_ type: SFTPPacketType?, _ rest: ByteBuffer, _ opening: Opening) {
        var rest = rest
        guard type == .handle, let handle = Self.handle(&rest) else {
            guard opening.number != nil else { return }
            held -= Int(Self.headSize)
            unanswered = max(0, unanswered - 1)
            if unanswered == 0 { waitingSince = nil }
            return
        }
        var file = File()
        file.asksHead = opening.number
        if let number = opening.number { heads[number] = handle }
        if opening.isVoid { dropHead(of: &file) }
        files[handle] = file
    }

    private mutating func head(
        _ type: SFTPPacketType?, _ rest: ByteBuffer, _ id: UInt32, _ handle: SFTPHandle, _ now: NIODeadline
    ) {
        guard var file = files[handle], file.asksHead == id else { return }
        defer { files[handle] = file }
        var data = rest
        let length = type == .data ? data.readInteger(as: UInt32.self) : 0
        // An error is for the client's own read to find; an empty file has none.
        let isEmpty = type == .status && data.getInteger(at: data.readerIndex) == SFTPStatus.Code.endOfFile.rawValue
        guard type == .data || isEmpty, Int(length ?? 0) == (isEmpty ? 0 : data.readableBytes) else {
            return dropHead(of: &file)
        }
        if isEmpty { data = ByteBuffer() }
        file.asksHead = nil
        file.head = Head(data: data, since: now)
        if data.readableBytes < Int(Self.headSize) { file.isWhole = true }
    }

    private mutating func piece(
        _ type: SFTPPacketType, _ rest: ByteBuffer, _ id: UInt32, _ handle: SFTPHandle, _ offset: UInt64,
        _ now: NIODeadline
    ) {
        guard var file = files.removeValue(forKey: handle) else { return }
        defer { if !file.pieces.isEmpty || !file.isWhole || file.length == 0 { files[handle] = file } }
        guard let piece = file.pieces[offset], case .asked(id, let client) = piece.state else { return }
        // Less than was asked for, or no data: the end of the file, or an error, which reading on would only repeat.
        if type != .data || rest.readableBytes < 4 + Int(piece.length) { file.isWhole = true }
        if type == .data, client == nil {
            file.pieces[offset]?.state = .here(rest, since: now)
        } else {
            take(offset, of: &file)
            if let client { answer(rest, client, type) }
        }
    }
}
