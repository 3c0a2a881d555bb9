import ControlAPI

/// What the daemon's API can do; each answers once.
struct DaemonRoutes {
    struct Answer {
        var status: Int
        var body: String

        init(_ status: Int, _ value: some Encodable) {
            self.status = status
            body = (try? JSON.encode(value)) ?? "{}"
        }
    }

    typealias Respond = (Answer) -> Void

    var status: (@escaping Respond) -> Void
    /// What is wrong with the level, if anything.
    var setLogLevel: (DaemonLogLevel) -> String?
    var quit: () -> Void
    /// `nil` while there is no session.
    var session: () -> Session?

    func respond(to method: String, _ path: String, body: String, respond: @escaping Respond) {
        switch (method, path) {
        case ("GET", "/v1/version"):
            respond(Answer(200, ProgramVersion.daemon))
        case ("GET", "/v1/status"):
            status(respond)
        case ("PUT", "/v1/loglevel"):
            guard let wanted = try? JSON.decode(DaemonLogLevel.self, from: body) else {
                return respond(Answer(400, ErrorInfo("expected {\"level\": …, \"seconds\": …}")))
            }
            if let problem = setLogLevel(wanted) { return respond(Answer(400, ErrorInfo(problem))) }
            respond(Answer(200, wanted))
        case ("POST", "/v1/quit"):
            respond(Answer(202, ProgramVersion.daemon))
            quit()
        case ("GET", "/v1/intercepts"), ("POST", "/v1/intercepts"), ("POST", "/v1/intercepts/leave"),
            ("POST", "/v1/intercepts/revoke"), ("GET", "/v1/workloads"):
            guard let session = session() else { return respond(Answer(503, ErrorInfo("not connected"))) }
            self.respond(method, path, body: body, with: session, respond)
        case ("POST", "/v1/environment"), ("POST", "/v1/ingests"), ("GET", "/v1/ingests"):
            guard let session = session() else { return respond(Answer(503, ErrorInfo("not connected"))) }
            self.respond(method, path, body: body, with: session.containers, respond)
        case (_, "/v1/version"), (_, "/v1/status"), (_, "/v1/loglevel"), (_, "/v1/quit"):
            respond(Answer(405, ErrorInfo("\(path) does not answer \(method)")))
        default:
            respond(Answer(404, ErrorInfo("no \(path) here")))
        }
    }

    private func respond(
        _ method: String, _ path: String, body: String, with session: Session, _ respond: @escaping Respond
    ) {
        let intercepts = session.intercepts
        func answer<Value: Encodable>(_ result: Result<Value, WorkstationError>) {
            switch result {
            case .success(let value): respond(Answer(200, value))
            case .failure(let error): respond(Answer(409, ErrorInfo(error.text)))
            }
        }
        switch (method, path) {
        case ("GET", "/v1/intercepts"):
            intercepts.list { respond(Answer(200, ItemList($0))) }
        case ("POST", "/v1/intercepts"):
            guard let request = try? JSON.decode(InterceptRequest.self, from: body) else {
                return respond(Answer(400, ErrorInfo("expected an intercept")))
            }
            intercepts.add(request) { answer($0) }
        case ("GET", _):
            intercepts.workloads { answer($0.map { ItemList($0) }) }
        case (_, "/v1/intercepts/leave"):
            guard let name = try? JSON.decode(ItemName.self, from: body) else {
                return respond(Answer(400, ErrorInfo("expected {\"name\": …}")))
            }
            intercepts.leave(name.name) { count in
                session.containers.leave(name.name, intercepts: intercepts.handles) { ingests in
                    guard count + ingests > 0 else {
                        return respond(Answer(409, ErrorInfo("Intercept named \"\(name.name)\" not found")))
                    }
                    respond(Answer(200, name))
                }
            }
        default:
            guard let name = try? JSON.decode(ItemName.self, from: body) else {
                return respond(Answer(400, ErrorInfo("expected {\"name\": …}")))
            }
            intercepts.revoke(name.name) { answer($0) }
        }
    }

    private func respond(
        _ method: String, _ path: String, body: String, with containers: SessionContainers, _ respond: @escaping Respond
    ) {
        if method == "GET" { return respond(Answer(200, ItemList(containers.all))) }
        guard let request = try? JSON.decode(IngestRequest.self, from: body) else {
            return respond(Answer(400, ErrorInfo("expected a workload")))
        }
        func answer<Value: Encodable>(_ result: Result<Value, WorkstationError>) {
            switch result {
            case .success(let value): respond(Answer(200, value))
            case .failure(let error): respond(Answer(error.exitCode == 2 ? 400 : 409, ErrorInfo(error.text)))
            }
        }
        if path == "/v1/environment" {
            containers.environment(of: request) { answer($0) }
        } else {
            containers.add(request) { answer($0) }
        }
    }
}
