import NIOCore
import SFTP
import Testing

@Suite("Many file servers as one")
struct SFTPRouterTests {
    /// A router, its client, and servers in this process.
    private final class Rig {
        var router = SFTPRouter()
        var servers: [UInt8: FileServer] = [:]
        var answers: [Answer] = []
        var opened: [String] = []
        var isEnded = false
        /// Which servers are there: by the names of workloads, where their files are.
        let places: [String: String]
        /// Servers that do not open of their own accord.
        var held: Set<String> = []

        init(_ places: [String: String]) { self.places = places }

        func send(_ bytes: [UInt8]) { run(router.received(ByteBuffer(bytes: bytes))) }

        func run(_ effects: [SFTPRouter.Effect]) {
            for effect in effects {
                switch effect {
                case .toClient(let bytes): answers += Answer.all(Array(bytes.readableBytesView))
                case .toServer(let number, let bytes):
                    guard let answer = servers[number]?.answer(Array(bytes.readableBytesView)) else { continue }
                    run(router.received(ByteBuffer(bytes: answer), from: number))
                case .open(let number, let workload):
                    opened.append(workload)
                    guard !held.contains(workload) else { continue }
                    open(number, workload)
                case .listWorkloads: run(router.workloads(places.keys.sorted()))
                case .end: isEnded = true
                }
            }
        }

        func open(_ number: UInt8, _ workload: String) {
            guard let place = places[workload] else {
                return run(router.ended(number, "there is no traffic-agent beside \(workload)"))
            }
            servers[number] = FileServer(
                tree: FileTree(root: "/\(workload)", mounts: [.init(path: "/data", directory: place)]), number: number)
            run(router.opened(number))
        }

        func take() -> Answer? { answers.isEmpty ? nil : answers.removeFirst() }
    }

    private let one = TemporaryDirectory()
    private let two = TemporaryDirectory()

    private func rig() -> Rig {
        one.file("a", "of one")
        two.file("a", "of two")
        let rig = Rig(["one": one.path, "two": two.path])
        rig.send(Packets.greeting)
        rig.answers = []
        return rig
    }

    private func read(_ rig: Rig, _ path: String, _ packets: inout Packets) -> String? {
        rig.send(packets.open(path, flags: 1))
        guard let handle = rig.take()?.string else { return nil }
        rig.send(
            packets.handled(.read, handle) { writer in
                writer.write(UInt64(0))
                writer.write(UInt32(100))
            })
        let answer = rig.take()
        return answer?.type == .data ? answer?.string.map { String(decoding: $0, as: UTF8.self) } : nil
    }

    @Test("each path leads to the server of its workload, which is opened once")
    func routes() {
        let rig = rig()
        var packets = Packets()
        #expect(read(rig, "/one/data/a", &packets) == "of one")
        #expect(read(rig, "/two/data/a", &packets) == "of two")
        #expect(read(rig, "two/data/../data/a", &packets) == "of two")
        #expect(rig.opened == ["one", "two"])
    }

    @Test("a whole conversation, byte by byte")
    func drip() {
        let rig = rig()
        var packets = Packets()
        for byte in packets.request(.stat, path: "/one/data/a") { rig.send([byte]) }
        #expect(rig.take()?.attributes?.size == 6)
    }

    @Test("the root lists the workloads, and is nobody's to change")
    func root() throws {
        let rig = rig()
        var packets = Packets()
        rig.send(packets.request(.realpath, path: "."))
        #expect(rig.take()?.names == ["/"])
        rig.send(packets.request(.opendir, path: "/"))
        let handle = try #require(rig.take()?.string)
        rig.send(packets.handled(.readdir, handle))
        #expect(rig.take()?.names == [".", "..", "one", "two"])
        rig.send(packets.handled(.readdir, handle))
        #expect(rig.take()?.status == .endOfFile)
        rig.send(packets.handled(.close, handle))
        #expect(rig.take()?.status == .ok)
        rig.send(packets.request(.rmdir, path: "/"))
        #expect(rig.take()?.status == .permissionDenied)
        #expect(rig.opened.isEmpty)
    }

    @Test("what cannot be opened is told with why, and tried again")
    func absent() {
        let rig = rig()
        var packets = Packets()
        rig.send(packets.request(.stat, path: "/three/data"))
        let answer = rig.take()
        #expect(answer?.status == .noSuchFile)
        #expect(answer?.text == "there is no traffic-agent beside three")
        rig.send(packets.request(.stat, path: "/three/data"))
        #expect(rig.opened == ["three", "three"])
    }

    @Test("requests wait for a server that is being opened")
    func opening() {
        let rig = rig()
        rig.held = ["one"]
        var packets = Packets()
        rig.send(packets.request(.stat, path: "/one/data/a"))
        rig.send(packets.request(.stat, path: "/two/data/a"))
        #expect(rig.answers.map(\.id) == [2])
        rig.open(1, "one")
        #expect(rig.answers.map(\.id) == [2, 1])
    }

    @Test("a server that is gone answers what it was asked, and its handles are nobody's")
    func gone() throws {
        let rig = rig()
        var packets = Packets()
        rig.send(packets.open("/one/data/a", flags: 1))
        let handle = try #require(rig.take()?.string)
        let number = handle[0]
        rig.servers[number] = nil
        rig.send(packets.handled(.fstat, handle))
        #expect(rig.router.waitingServers == [number])
        rig.run(rig.router.ended(number, "the traffic-agent is gone"))
        #expect(rig.take()?.status == .failure)
        rig.send(packets.handled(.fstat, handle))
        #expect(rig.take()?.status == .failure)
        #expect(read(rig, "/one/data/a", &packets) == "of one")
    }

    @Test("files do not move between workloads")
    func across() {
        let rig = rig()
        var packets = Packets()
        rig.send(
            packets.request(.rename) { writer in
                writer.write("/one/data/a")
                writer.write("/two/data/b")
            })
        let answer = rig.take()
        #expect(answer?.status == .failure)
        #expect(answer?.text == "files cannot be moved between workloads")
    }

    @Test("an answer that nobody waits for is dropped")
    func unasked() {
        let rig = rig()
        var packets = Packets()
        rig.send(packets.request(.stat, path: "/one/data/a"))
        rig.answers = []
        var forged = SFTPWriter()
        forged.status(.ok, id: 99)
        rig.run(rig.router.received(forged.bytes, from: 1))
        #expect(rig.answers.isEmpty)
    }

    @Test(
        "what is no SFTP ends the connection",
        arguments: [[0, 0, 0, 1, 5], [0xff, 0, 0, 0, 5], [0, 0, 0, 6, 3, 0, 0, 0, 1, 0]])
    func violations(bytes: [UInt8]) {
        let rig = rig()
        rig.send(bytes)
        #expect(rig.isEnded)
    }

    @Test("noise from both ends is survived")
    func noise() {
        var generator = SplitMix(seed: 7)
        for round in 0..<300 {
            let rig = rig()
            for _ in 0..<40 where !rig.isEnded {
                let length = Int.random(in: 5...48, using: &generator)
                var bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
                if round % 3 != 0 {
                    bytes.replaceSubrange(0..<4, with: [0, 0, 0, UInt8(length - 4)])
                    bytes[4] = UInt8.random(in: 1...20, using: &generator)
                }
                if Bool.random(using: &generator) {
                    rig.send(bytes)
                } else {
                    rig.run(rig.router.received(ByteBuffer(bytes: bytes), from: 1))
                }
            }
        }
    }
}
