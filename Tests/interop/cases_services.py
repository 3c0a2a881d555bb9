"""The manager's own services behind reserved names: DNS for dig, the API for curl."""

import json
import re

from clients import is_listening, local_forward, tunnel, try_ports
from harness import case, contains, equal, matches
from world import DB, SERVICE_ADDRESS, tool


def dns_port(t, world):
    def attempt(port):
        process = tunnel(t, world.manager, "-o", "ExitOnForwardFailure=yes", "-L", f"{port}:dns.telepresence:53")
        t.wait("the local port", lambda: is_listening(port), process=process)
        return port

    return try_ports(attempt)


class Dig:
    def __init__(self, t, world):
        self.t, self.port = t, dns_port(t, world)

    def __call__(self, *question):
        result = self.t.run([tool("dig", "bind9-dnsutils"), "@127.0.0.1", "-p", str(self.port), "+tcp", "+tries=1",
                             "+time=5", "+nocookie", *question]).succeeded()
        self.status = matches(result.out, r"status: (\w+)").group(1)
        self.counts = {key: int(count) for key, count in re.findall(r"(ANSWER|AUTHORITY|ADDITIONAL): (\d+)", result.text)}
        answer = re.search(r";; ANSWER SECTION:\n(.*?)\n\n", result.text, re.S)
        self.answers = [line.split(None, 4) for line in answer.group(1).splitlines()] if answer else []
        self.text = result.text
        return self

    def data(self, kind):
        return sorted(answer[4] for answer in self.answers if answer[3] == kind)


NAME = "hello.default.svc.cluster.local"


@case("dig +tcp through -L: A and AAAA of services, a headless one and a pod")
def dns_addresses(t, world):
    dig = Dig(t, world)
    equal(dig(NAME).data("A"), [SERVICE_ADDRESS["hello"]], "A of a service")
    equal(dig.status, "NOERROR", "status")
    equal(dig("db.default.svc.cluster.local").data("A"), sorted(DB.values()), "A of a headless service")
    equal(dig("db-1.db.default.svc.cluster.local").data("A"), [DB["db-1"]], "A of a pod")
    equal(dig("six.default.svc.cluster.local", "AAAA").data("AAAA"), ["fd61::6"], "AAAA of a service")
    equal(dig("six.default.svc.cluster.local").data("A"), ["10.43.61.6"], "A of a service of both families")
    equal(dig("HELLO.default.SVC.cluster.local").data("A"), [SERVICE_ADDRESS["hello"]], "A, case mixed")


@case("dig +tcp through -L: NXDOMAIN and NODATA are told apart")
def dns_absent(t, world):
    dig = Dig(t, world)
    dig("nowhere.default.svc.cluster.local")
    equal((dig.status, dig.answers), ("NXDOMAIN", []), "a name that is not there")
    contains(dig.text, "SOA")
    dig(NAME, "AAAA")
    equal((dig.status, dig.answers), ("NOERROR", []), "a type that is not there")
    contains(dig.text, "SOA")
    dig(NAME, "MX")
    equal((dig.status, dig.answers), ("NOERROR", []), "another type that is not there")
    dig("default.svc.cluster.local")
    equal((dig.status, dig.answers), ("NOERROR", []), "an empty name on the way to others")


@case("dig +tcp through -L: SRV and PTR")
def dns_others(t, world):
    dig = Dig(t, world)
    record = dig(f"_http._tcp.{NAME}", "SRV").data("SRV")
    equal(len(record), 1, "SRV records")
    matches(record[0], r"^\d+ \d+ 80 hello\.default\.svc\.cluster\.local\.$")
    records = dig("_http._tcp.db.default.svc.cluster.local", "SRV").data("SRV")
    equal({record.split()[3] for record in records}, {f"{pod}.db.default.svc.cluster.local." for pod in DB}, "SRV")
    equal({record.split()[2] for record in records}, {str(world.db_port)}, "SRV ports")
    equal(dig("-x", SERVICE_ADDRESS["hello"]).data("PTR"), [NAME + "."], "PTR of a service")
    equal(dig("-x", DB["db-0"]).data("PTR"), ["db-0.db.default.svc.cluster.local."], "PTR of a pod")


@case("dig +tcp +keepopen: many questions over one channel")
def dns_many(t, world):
    port = dns_port(t, world)
    questions = t.write("questions", f"{NAME} A\ndb.default.svc.cluster.local A\nno.such.svc.cluster.local A\n" * 20)
    result = t.run([tool("dig", "bind9-dnsutils"), "@127.0.0.1", "-p", str(port), "+tcp", "+keepopen", "+tries=1", "+noall",
                    "+answer", "+comments", "-f", questions], seconds=30).succeeded()
    equal(len(re.findall("status: NOERROR", result.text)), 40, "answers")
    equal(len(re.findall("status: NXDOMAIN", result.text)), 20, "absences")


def curl(t, path, url, *options):
    return t.run([tool("curl"), "--silent", "--show-error", "--max-time", "10", "--unix-socket", path, *options, url])


@case("curl through -L to api.telepresence: health, version, services, sessions, the document")
def api(t, world):
    path, _ = local_forward(t, world.manager, "api.telepresence:8081")
    base = "http://api.telepresence"
    for probe in ("/healthz", "/readyz"):
        curl(t, path, base + probe, "--fail").succeeded()
    version = json.loads(curl(t, path, base + "/v1/version", "--fail").succeeded().out)
    assert "version" in version, version
    services = json.loads(curl(t, path, base + "/v1/services", "--fail").succeeded().out)
    assert {("default", "hello"), ("other", "web")} <= {(s["namespace"], s["name"]) for s in services["items"]}
    sessions = json.loads(curl(t, path, base + "/v1/sessions", "--fail").succeeded().out)
    assert any(session["user"] == "tester" for session in sessions["items"]), sessions
    document = json.loads(curl(t, path, base + "/openapi.json", "--fail").succeeded().out)
    assert document["openapi"].startswith("3."), document["openapi"]
    metrics = curl(t, path, base + "/metrics", "--fail").succeeded().text
    matches(metrics, r"(?m)^\w*sessions\w* [1-9]")
    equal(curl(t, path, base + "/v1/nothing", "--write-out", "%{http_code}", "--output", "/dev/null").text, "404",
          "status")


@case("curl watches sessions as lines of JSON, and sees one come")
def api_watch(t, world):
    path, _ = local_forward(t, world.manager, "api.telepresence:8081")
    out = open(t.path("watch"), "w+b")
    t.closing.append(out.close)
    t.start([tool("curl"), "--silent", "--no-buffer", "--max-time", "30", "--unix-socket", path,
             "http://api.telepresence/v1/sessions?watch=true"], stdout=out)

    def lines():
        with open(t.path("watch")) as file:
            return [json.loads(line) for line in file.read().splitlines(keepends=True) if line.endswith("\n")]

    t.wait("the first line", lines)
    process = t.start(world.manager.ssh("-N", "-l", "watched", "manager"))
    t.wait("the session's coming", lambda: any("watched" in json.dumps(line) for line in lines()), process=process)
    seen = len(lines())
    process.terminate()
    t.wait("the session's going", lambda: len(lines()) > seen)


@case("from the network the API answers only for health and metrics")
def api_outside(t, world):
    port = int(world.manager.logged(r"service=api.*address=\S+?:(\d+)|address=127\.0\.0\.1:(\d+).*service=api"))
    for path, expected in (("/healthz", "200"), ("/readyz", "200"), ("/metrics", "200"), ("/v1/services", None),
                           ("/v1/sessions", None), ("/openapi.json", None)):
        code = t.run([tool("curl"), "--silent", "--max-time", "10", "--output", "/dev/null", "--write-out",
                      "%{http_code}", f"http://127.0.0.1:{port}{path}"]).text
        if expected:
            equal(code, expected, f"status of {path}")
        else:
            assert code in ("401", "403", "404"), f"{path} answers {code} from the network"


@case("services that change are seen at once by new channels")
def reload(t, world):
    from clients import connect, http_get
    from world import Manager
    original = open(world.services).read()
    services = t.write("services.yaml", original)
    manager = Manager(world, ["--services", services])
    t.closing.append(manager.close)
    path, _ = local_forward(t, manager, "late:80")
    with connect(path) as connection:
        equal(connection.recv(1), b"", "data from a service that is not there")
    more = re.sub(r"\bhello\b", "late", "---\n".join(original.split("---\n")[:2])).replace(
        SERVICE_ADDRESS["hello"], "10.43.61.77")
    t.write("services.yaml.new", original + "---\n" + more)
    import os
    os.rename(t.path("services.yaml.new"), services)

    def answers():
        try:
            return "pod=hello-" in http_get(connect(path))
        except (AssertionError, OSError):
            return False

    t.wait("the new service", answers, 15)
