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
        case (_, "/v1/version"), (_, "/v1/status"), (_, "/v1/loglevel"), (_, "/v1/quit"):
            respond(Answer(405, ErrorInfo("\(path) does not answer \(method)")))
        default:
            respond(Answer(404, ErrorInfo("no \(path) here")))
        }
    }
}
