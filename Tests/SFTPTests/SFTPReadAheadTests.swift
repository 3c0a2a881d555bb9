import Glibc
import NIOCore
import Testing

@testable import SFTP

@Suite("Reading ahead")
struct SFTPReadAheadTests {
    /// A client that reads, the machine, and a server in this process whose answers come when they are let.
    private final class Rig {
        let directory = TemporaryDirectory()
        var machine = SFTPReadAhead()
        var now = NIODeadline.uptimeNanoseconds(1)
        var packets = Packets()
        var answers: [Answer] = []
        /// What the server was asked, and has not answered.
        var asked: [ByteBuffer] = []
        private(set) var reads = 0
        private let server: FileServer

        init() {
            server = FileServer(
                tree: FileTree(root: "/one", mounts: [.init(path: "/data", directory: directory.path)]), number: 7)
        }

        func send(_ bytes: [UInt8]) { run(machine.fromClient(ByteBuffer(bytes: bytes), now: now)) }

        private func run(_ effects: [SFTPReadAhead.Effect]) {
            var forClient: [UInt8] = []
            for effect in effects {
                switch effect {
                case .toClient(let bytes): forClient += bytes.readableBytesView
                case .toServer(let bytes):
                    if bytes.getInteger(at: bytes.readerIndex + 4, as: UInt8.self) == SFTPPacketType.read.rawValue {
                        reads += 1
                    }
                    asked.append(bytes)
                }
            }
            answers += Answer.all(forClient)
        }

        /// The server answers all that it was asked; byte for byte, where the test wants to see that it does not matter.
        func serve(dripping: Bool = false) {
            while !asked.isEmpty {
                guard let answer = server.answer(Array(asked.removeFirst().readableBytesView)) else { continue }
                for part in dripping ? answer.map({ [$0] }) : [answer] {
                    run(machine.fromServer(ByteBuffer(bytes: part), now: now))
                }
            }
        }

        func open(_ name: String, flags: UInt32 = 1) throws -> [UInt8] {
            send(packets.open("/one/data/\(name)", flags: flags))
            serve()
            return try #require(answers.removeFirst().string)
        }

        /// Without waiting for the server.
        func ask(_ handle: [UInt8], _ offset: UInt64, _ length: UInt32 = 4096) {
            send(
                packets.handled(.read, handle) { writer in
                    writer.write(offset)
                    writer.write(length)
                })
        }

        func read(_ handle: [UInt8], _ offset: UInt64, _ length: UInt32 = 4096) -> String? {
            ask(handle, offset, length)
            serve()
            return answers.removeFirst().string.map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// 4 KiB pieces, each of which tells its number.
    private static func text(_ pieces: Int) -> String {
        (0..<pieces).map { String(repeating: "\($0 % 10)", count: 4096) }.joined()
    }

    /// A file of 200 pieces, whose first was read.
    private static func begun() throws -> (Rig, [UInt8]) {
        let rig = Rig()
        rig.directory.file("a", text(200))
        let handle = try rig.open("a")
        _ = rig.read(handle, 0)
        return (rig, handle)
    }

    @Test(arguments: [false, true]) func everyByteIsWhereItWas(dripping: Bool) throws {
        let rig = Rig()
        let text = Self.text(40) + "the end"
        rig.directory.file("a", text)
        let handle = try rig.open("a")
        var read = ""
        while true {
            rig.ask(handle, UInt64(read.utf8.count))
            rig.serve(dripping: dripping)
            let answer = rig.answers.removeFirst()
            guard answer.type == .data, let bytes = answer.string else {
                #expect(answer.status == .endOfFile)
                break
            }
            read += String(decoding: bytes, as: UTF8.self)
        }
        #expect(read == text)
    }

    @Test func aReadOfWhatIsHereAsksNobody() throws {
        let (rig, handle) = try Self.begun()
        _ = rig.read(handle, 4096)
        rig.ask(handle, 2 * 4096)
        #expect(rig.answers.first?.string?.first == UInt8(ascii: "2"))
    }

    @Test func oneReadIsNoSignOfAnother() throws {
        let (rig, handle) = try Self.begun()
        #expect(rig.reads == 1)
        _ = rig.read(handle, 90 * 4096)
        _ = rig.read(handle, 30 * 4096)
        #expect(rig.reads == 3)
    }

    @Test func whatIsOnItsWayIsWaitedFor() throws {
        let (rig, handle) = try Self.begun()
        rig.ask(handle, 4096)
        let asked = rig.asked.count
        rig.ask(handle, 2 * 4096)
        // Further ahead, but not that piece again.
        #expect(rig.asked.dropFirst(asked).allSatisfy { $0.getInteger(at: 18, as: UInt64.self) ?? 0 > 2 * 4096 })
        rig.serve()
        #expect(rig.answers.map { $0.string?.first } == [UInt8(ascii: "1"), UInt8(ascii: "2")])
    }

    @Test func aWriteIsSeenByTheNextRead() throws {
        let (rig, handle) = try Self.begun()
        _ = rig.read(handle, 4096)
        let other = try rig.open("a", flags: 2)
        rig.send(
            rig.packets.handled(.write, other) { writer in
                writer.write(UInt64(2 * 4096))
                writer.write("new")
            })
        rig.serve()
        rig.answers = []
        #expect(rig.read(handle, 2 * 4096)?.hasPrefix("new2") == true)
    }

    @Test func whatIsOldIsReadAgain() throws {
        let (rig, handle) = try Self.begun()
        _ = rig.read(handle, 4096)
        rig.directory.file("a", String(repeating: "x", count: 200 * 4096))
        #expect(rig.read(handle, 2 * 4096)?.first == "2")
        rig.now = rig.now + .seconds(4)
        #expect(rig.read(handle, 3 * 4096)?.first == "x")
    }

    @Test func whatComesAfterTheCloseIsNobodys() throws {
        let (rig, handle) = try Self.begun()
        rig.ask(handle, 4096)
        rig.send(rig.packets.handled(.close, handle))
        rig.serve()
        #expect(rig.answers.map(\.type) == [.data, .status])
        #expect(rig.machine.waitingSince == nil)
    }

    @Test func noMoreIsHeldThanAllowed() throws {
        let rig = Rig()
        rig.directory.file("a", Self.text(16))
        for _ in 0..<20 {
            let handle = try rig.open("a")
            // Nobody answers.
            for piece in 0..<12 as Range<UInt64> { rig.ask(handle, piece << 17, 1 << 17) }
        }
        let bytes = rig.asked.reduce(0) { sum, packet in
            let id = packet.getInteger(at: packet.readerIndex + 5, as: UInt32.self) ?? 0
            return id < 0xf000_0000 ? sum : sum + 1 << 17
        }
        #expect(bytes <= SFTPReadAhead.mostHeld)
    }

    @Test func aServerThatOwesAnAnswerIsKnown() throws {
        let rig = Rig()
        rig.directory.file("a", "text")
        let handle = try rig.open("a")
        #expect(rig.machine.waitingSince == nil)
        let asked = rig.now
        rig.ask(handle, 0)
        rig.now = rig.now + .seconds(5)
        #expect(rig.machine.waitingSince == asked)
        rig.serve()
        #expect(rig.machine.waitingSince == nil)
    }

    /// A client whose server opens and reads in one.
    private static func greeted(_ text: String) -> Rig {
        let rig = Rig()
        rig.directory.file("a", text)
        rig.send(Packets.greeting)
        rig.serve()
        rig.answers = []
        return rig
    }

    @Test(arguments: [false, true]) func aSmallFileIsReadWithItsOpening(dripping: Bool) throws {
        let rig = Self.greeted("small")
        rig.send(rig.packets.open("/one/data/a", flags: 1))
        rig.serve(dripping: dripping)
        #expect(rig.answers.map(\.type) == [.handle])
        let handle = try #require(rig.answers.removeFirst().string)
        // Nobody is asked.
        rig.ask(handle, 0)
        rig.ask(handle, 2, 2)
        rig.ask(handle, 5)
        #expect(rig.asked.isEmpty && rig.machine.waitingSince == nil)
        #expect(rig.answers.prefix(2).map { String(decoding: $0.string ?? [], as: UTF8.self) } == ["small", "al"])
        #expect(rig.answers.last?.status == .endOfFile)
    }

    @Test func anEmptyFileHasItsEnd() throws {
        let rig = Self.greeted("")
        let handle = try rig.open("a")
        rig.ask(handle, 0)
        #expect(rig.asked.isEmpty && rig.answers.map(\.status) == [.endOfFile])
    }

    @Test(arguments: [7, 8, 9, 40]) func aLargeFileGoesOnBehindItsHead(pieces: Int) throws {
        let rig = Self.greeted(Self.text(pieces))
        let handle = try rig.open("a")
        var read = ""
        while let part = rig.read(handle, UInt64(read.utf8.count)), !part.isEmpty, read.utf8.count < pieces * 4096 {
            read += part
        }
        #expect(read == Self.text(pieces))
    }

    @Test(arguments: [false, true]) func attributesOfAnOpeningAreAskedForOnce(writing: Bool) throws {
        let rig = Self.greeted("old")
        // As sshfs does.
        rig.send(rig.packets.open("/one/data/new", flags: 2 | 8))
        rig.send(rig.packets.request(.lstat, path: "/one/data/new"))
        rig.serve()
        #expect(rig.answers.map(\.type) == [.handle, .attributes])
        let handle = try #require(rig.answers.first?.string)
        if writing {
            rig.send(
                rig.packets.handled(.write, handle) { writer in
                    writer.write(UInt64(0))
                    writer.write("text")
                })
            rig.serve()
        }
        let told = rig.answers.remove(at: 1).body
        rig.answers = []
        rig.send(rig.packets.handled(.fstat, handle))
        // What was written since is seen.
        #expect(rig.asked.isEmpty != writing)
        rig.serve()
        #expect(rig.answers.map(\.type) == [.attributes])
        #expect((rig.answers.first?.body == told) != writing)
        rig.send(rig.packets.handled(.fstat, handle))
        #expect(!rig.asked.isEmpty)
    }

    @Test func aLinkIsNotTheFileItLeadsTo() throws {
        let rig = Self.greeted("text")
        symlink("a", "\(rig.directory.path)/link")
        rig.send(rig.packets.open("/one/data/link", flags: 1))
        rig.send(rig.packets.request(.lstat, path: "/one/data/link"))
        rig.serve()
        let handle = try #require(rig.answers.first?.string)
        rig.send(rig.packets.handled(.fstat, handle))
        #expect(!rig.asked.isEmpty)
    }

    @Test func noFileIsOneAnswer() throws {
        let rig = Self.greeted("")
        rig.send(rig.packets.open("/one/data/none", flags: 1))
        rig.serve()
        #expect(rig.answers.map(\.status) == [.noSuchFile] && rig.machine.waitingSince == nil)
    }

    @Test(arguments: [false, true]) func aWriteMakesAHeadVoid(whileOpening: Bool) throws {
        let rig = Self.greeted("old")
        let other = try rig.open("a", flags: 2)
        let write = rig.packets.handled(.write, other) { writer in
            writer.write(UInt64(0))
            writer.write("new")
        }
        rig.send(rig.packets.open("/one/data/a", flags: 1))
        if !whileOpening { rig.serve() }
        rig.send(write)
        rig.serve()
        let handle = try #require(rig.answers.first { $0.type == .handle }?.string)
        rig.answers = []
        #expect(rig.read(handle, 0) == "new")
    }

    @Test func aHeadThatIsOldIsReadAgain() throws {
        let rig = Self.greeted("old")
        let handle = try rig.open("a")
        rig.directory.file("a", "new")
        #expect(rig.read(handle, 0) == "old")
        rig.now = rig.now + .seconds(4)
        #expect(rig.read(handle, 0) == "new")
    }

    @Test func headsAreHeldNoMoreThanAllowed() throws {
        let rig = Self.greeted("some")
        for _ in 0..<100 { rig.send(rig.packets.open("/one/data/a", flags: 1)) }
        #expect(rig.asked.count == 100)
        let heads = rig.asked.count { $0.getInteger(at: $0.readerIndex + 4, as: UInt8.self) == 200 }
        #expect(heads == 64)
        rig.serve()
        #expect(rig.answers.count == 100 && rig.machine.waitingSince == nil)
    }

    @Test func whatIsNoSFTPPasses() {
        let rig = Rig()
        let noise: [UInt8] = [255, 255, 255, 255, 1, 2, 3]
        rig.send(noise)
        rig.send([4])
        #expect(rig.asked.flatMap { Array($0.readableBytesView) } == noise + [4])
    }
}
