import DNS
package import NIOCore

/// Answers DNS queries for the cluster domain and the addresses in it, from a snapshot alone.
///
/// There is no resolver behind it: a name that is not the cluster's is refused. The search list is the client's
/// affair, as in Kubernetes.
package enum ClusterDNS {
    /// An alias to a name of the cluster is followed this often; then the client has to go on itself.
    private static let maximumAliases = 8

    /// The answer to one message; `nil` when none may be given, since it is a response itself or no message at all.
    package static func answer(
        query: ByteBuffer, snapshot: DirectorySnapshot, maximumLength: Int = Message.maximumLength
    ) -> ByteBuffer? {
        // Answering a response could make two servers talk to each other for ever.
        guard let header = try? RawMessage(query).header, !header.isResponse else { return nil }
        var response = Message(header: Header(id: header.id))
        response.header.isResponse = true
        response.header.opcode = header.opcode
        response.header.recursionDesired = header.recursionDesired
        if header.opcode != .query {
            response.responseCode = .notImplemented
        } else if let request = try? Message(reading: query), request.questions.count == 1 {
            respond(to: request, question: request.questions[0], with: &response, snapshot)
        } else {
            // RFC 9619: more than one question is no query.
            response.responseCode = .formatError
        }
        if let bytes = try? response.encoded(maximumLength: maximumLength) { return bytes }
        // Nothing that is read from a snapshot should be impossible to write; still, the client gets an answer.
        assertionFailure("an answer that cannot be written: \(response)")
        var failure = Message(header: response.header)
        failure.responseCode = .serverFailure
        return try? failure.encoded(maximumLength: maximumLength)
    }

    private static func respond(
        to request: Message, question: Question, with response: inout Message, _ snapshot: DirectorySnapshot
    ) {
        response.questions = [question]
        if let edns = request.edns {
            response.edns = EDNS(dnssecOK: edns.dnssecOK)
            guard edns.version == 0 else {
                response.responseCode = .badVersion
                return
            }
        }
        switch (question.type, question.recordClass) {
        case (.opt, _):
            response.responseCode = .formatError
        case (.axfr, _), (.ixfr, _):
            response.responseCode = .refused
        case (_, .internet), (_, .any):
            fill(&response, question, ClusterZone(snapshot: snapshot))
        default:
            response.responseCode = .refused
        }
    }

    private static func fill(_ response: inout Message, _ question: Question, _ zone: ClusterZone) {
        var name = question.name
        for aliases in 0...maximumAliases {
            switch zone.lookup(name) {
            case .outside:
                // At the end of an alias, the client knows where to ask; nobody can tell it more here.
                if aliases == 0 { response.responseCode = .refused }
                return
            case .noSuchName(let apex):
                response.header.isAuthoritative = true
                response.responseCode = .nameError
                response.authorities = negative(apex, zone)
                return
            case .node(let node):
                response.header.isAuthoritative = true
                if case .cname(let target)? = node.records.first, question.type != .cname, question.type != .any {
                    response.answers.append(record(name, .cname(target)))
                    guard !response.answers.dropLast().contains(where: { $0.name == target }) else { return }
                    name = target
                    continue
                }
                let data = select(question.type, from: node.records)
                response.answers += data.map { record(name, $0) }
                if data.isEmpty {
                    response.authorities = negative(node.zone, zone)
                } else {
                    response.additionals = node.additionals.map { record($0.name, $0.data) }
                }
                return
            }
        }
    }

    /// ANY gets one of the record sets there are (RFC 8482 §4.1).
    private static func select(_ type: RecordType, from records: [RecordData]) -> [RecordData] {
        let type = type == .any ? records.first?.type ?? type : type
        return records.filter { $0.type == type }
    }

    /// What lets a resolver keep a negative answer, and for how long (RFC 2308 §3).
    private static func negative(_ apex: Name, _ zone: ClusterZone) -> [ResourceRecord] {
        zone.startOfAuthority().map { [record(apex, $0)] } ?? []
    }

    private static func record(_ name: Name, _ data: RecordData) -> ResourceRecord {
        ResourceRecord(name: name, timeToLive: ClusterZone.timeToLive, data: data)
    }
}
