import ControlAPI
import NIOCore
import SSHClient

/// Questions to the manager's API, through the session.
enum ManagerAPI {
    /// An answer that takes longer is none.
    private static let timeout = TimeAmount.seconds(10)

    /// The model that a path answers with, or the manager's own words against it. Calls `completion` once.
    static func ask<Model: Decodable & Sendable>(
        _ method: HTTPExchange.Method, _ path: String, as model: Model.Type, through pool: SSHClientPool,
        completion: @escaping (Result<Model, WorkstationError>) -> Void
    ) {
        let eventLoop = pool.eventLoop
        let promise = eventLoop.makePromise(of: HTTPExchange.Answer.self)
        let timeout = eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            promise.fail(WorkstationError("the traffic manager does not answer"))
        }
        ManagerStream.open(ManagerStream.api, through: pool) { result in
            switch result {
            case .failure(let error): promise.fail(WorkstationError(error.text))
            case .success(let stream):
                HTTPExchange.run(method, path, host: "api.telepresence", on: stream.channel) { result in
                    stream.close()
                    promise.completeWith(result)
                }
            }
        }
        promise.futureResult.assumeIsolated().whenComplete { result in
            timeout.cancel()
            switch result {
            case .failure(let error):
                completion(.failure(error as? WorkstationError ?? WorkstationError("the traffic manager: \(error)")))
            case .success(let answer):
                guard (200..<300).contains(answer.status) else {
                    let text = (try? JSON.decode(ErrorInfo.self, from: answer.body))?.error
                    return completion(
                        .failure(WorkstationError(text ?? "the traffic manager answered \(answer.status)")))
                }
                guard let value = try? JSON.decode(model, from: answer.body) else {
                    return completion(
                        .failure(WorkstationError("the traffic manager speaks another version of the API")))
                }
                completion(.success(value))
            }
        }
    }

    /// A query's value (RFC 3986 §3.4).
    static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return result
    }
}
