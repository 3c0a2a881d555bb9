import NIOCore
import NIOPosix
import Testing

@testable import hello

/// Real sockets on a free port of loopback.
@Suite struct HelloTests {
    /// Sends `bytes`, then the end of the stream, and gives all that comes back up to the server's own end.
    private func exchange(_ bytes: String, raw: Bool = false) async throws -> String {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await Hello.serve(ListenAddress(host: "127.0.0.1", port: 0), raw: raw, on: group)
        let address = try #require(server.localAddress)
        let client = try await ClientBootstrap(group: group)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .connect(to: address) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel,
                        configuration: .init(isOutboundHalfClosureEnabled: true))
                }
            }
        let answer = try await client.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: bytes))
            outbound.finish()
            var answer = ByteBuffer()
            for try await part in inbound { answer.writeImmutableBuffer(part) }
            return String(buffer: answer)
        }
        try await server.close()
        return answer
    }

    @Test func saysWhatItSawOfARequest() async throws {
        let answer = try await exchange("GET /a?b=c HTTP/1.1\r\nHost: hello:8080\r\nX-Z: 1\r\nAccept: */*\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        for line in [
            "CLIENT VALUES:", "client_address=127.0.0.1", "command=GET", "real path=/a?b=c", "query=b=c",
            "request_version=1.1", "SERVER VALUES:", "server_version=hello: 1.0",
            "HEADERS RECEIVED:\naccept=*/*\nhost=hello:8080\nx-z=1\nBODY:\n-no body in request-",
        ] {
            #expect(answer.contains(line + "\n"))
        }
        // The name without the port that was asked for, with the port that answered.
        #expect(answer.contains("\nrequest_uri=http://hello:"))
        #expect(!answer.contains("request_uri=http://hello:8080/"))
    }

    @Test func sendsTheBodyBackOfAChunkedRequest() async throws {
        let answer = try await exchange(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
        #expect(answer.contains("\nBODY:\nabcdefg\n"))
    }

    @Test func answersEveryRequestOfAConnection() async throws {
        let answer = try await exchange(
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(answer.split(separator: "HTTP/1.1 200 OK\r\n", omittingEmptySubsequences: true).count == 3)
        #expect(answer.contains("real path=/1\n"))
        #expect(!answer.contains("real path=/2\n"))
        #expect(answer.contains("real path=/3\n"))
    }

    @Test func keepsNoMoreThanTheLimitOfABody() async throws {
        let length = RequestReport.bodyLimit + 1
        let answer = try await exchange(
            "PUT / HTTP/1.0\r\nContent-Length: \(length)\r\n\r\n\(String(repeating: "é", count: length / 2))x")
        #expect(answer.contains("\n-\(length) bytes received, the first \(RequestReport.bodyLimit) shown-\n"))
        #expect(answer.utf8.count < RequestReport.bodyLimit + 1024)
    }

    @Test func echoesBytesAndTheEndOfTheStream() async throws {
        let bytes = String(repeating: "0123456789abcdef", count: 1 << 16)
        let answer = try await exchange(bytes, raw: true)
        #expect(answer == bytes)
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func echoesDatagrams(host: String) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await Hello.serveDatagrams(ListenAddress(host: host, port: 0), on: group)
        let address = try #require(server.localAddress)
        let client = try await DatagramBootstrap(group: group)
            .channelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: DatagramEchoHandler.receiveSize)
            )
            .connect(to: address) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<AddressedEnvelope<ByteBuffer>, ByteBuffer>(
                        wrappingChannelSynchronously: channel)
                }
            }
        try await client.executeThenClose { inbound, outbound in
            var answers = inbound.makeAsyncIterator()
            for length in [0, 1, 9216, 65_507] {
                let datagram = ByteBuffer(repeating: 0x61, count: length)
                try await outbound.write(datagram)
                #expect(try await answers.next()?.data == datagram)
            }
        }
        try await server.close()
    }

    /// A client that ends its half long before it has read the answer.
    @Test func echoesAllToASlowReader() async throws {
        let bytes = String(repeating: "0123456789abcdef", count: 1 << 20)
        async let one = exchange(bytes, raw: true)
        async let two = exchange(bytes, raw: true)
        #expect(try await one == bytes)
        #expect(try await two == bytes)
    }

    @Test func namesTheAddressThatIsTaken() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await Hello.serve(ListenAddress(host: "127.0.0.1", port: 0), raw: true, on: group)
        let taken = try #require(ListenAddress(server.localAddress))
        let failure = await #expect(throws: ListenFailure.self) {
            _ = try await Hello.serve(taken, raw: true, on: group)
        }
        #expect(failure?.description.contains("cannot listen on \(taken): Address already in use") == true)
        try await server.close()
    }
}
