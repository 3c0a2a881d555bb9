"""The built-in commands over exec, and what gets two lines instead of a shell."""

import json

from harness import case, contains, equal, matches
from world import tool

# To everything that is no command: an answer, at once.
ANSWER_SECONDS = 2.0


@case("ssh manager {}: text on stdout, nothing on stderr, status 0", [
    ("status", r"Sessions:\s+\d+"), ("services", r"(?m)^default\s+hello\s+"), ("sessions", r"tester"),
    ("version", r"\d+\.\d+"), ("help", r"services"),
])
def command(t, world, expected):
    name, pattern = expected
    result = t.run(world.manager.ssh("manager", name)).succeeded()
    matches(result.out, pattern)
    equal(result.err, b"", "stderr")
    assert result.out.endswith(b"\n")


@case("ssh manager {} --json: one JSON value", ["status", "services", "sessions", "version", "help"])
def json_command(t, world, name):
    result = t.run(world.manager.ssh("manager", name, "--json")).succeeded()
    equal(result.err, b"", "stderr")
    value = json.loads(result.out)
    if name == "services":
        services = {(item["namespace"], item["name"]) for item in value["items"]}
        assert {("default", "hello"), ("other", "web"), ("default", "db")} <= services, services
    if name == "sessions":
        assert any(item["user"] == "tester" and "OpenSSH" in item["clientVersion"] for item in value["items"]), value


def two_lines(text):
    lines = [line for line in text.decode().replace("\r", "").splitlines() if line]
    # ssh's own words are not part of the answer.
    lines = [line for line in lines if not line.startswith(("Connection to ", "PTY allocation", "subsystem request",
                                                           "Connection closed", "Pseudo-terminal"))]
    equal(len(lines), 2, f"lines in {text.decode()!r}: count")
    contains(lines[0], "telepresence traffic manager")


@case("no hang but two lines and a non-zero status: {}", [
    ("a shell", []), ("a shell on a terminal", ["-tt"]), ("an unknown command", ["rm", "-rf", "/"]),
    ("an unknown command on a terminal", ["-tt", "top"]), ("an empty command", [""]), ("a subsystem", ["-s", "sftp"]),
    ("an unknown subsystem", ["-s", "netconf"]),
])
def no_shell(t, world, what):
    _, arguments = what
    options = [argument for argument in arguments if argument in ("-tt", "-s")]
    words = [argument for argument in arguments if argument not in options]
    result = t.run(world.manager.ssh(*options, "manager", *words), input=b"ls\nexit\n", seconds=15).failed()
    # On a terminal stderr comes out of stdout.
    two_lines(result.err + result.out)
    assert result.seconds < ANSWER_SECONDS, f"the answer took {result.seconds:.1f} s"


@case("sftp gets an answer, not a hang")
def sftp(t, world):
    result = t.run(
        [tool("sftp", "openssh-client"), "-F", world.manager.config, "-b", "-", "manager"], input=b"ls\n", seconds=15)
    result.failed()
    contains(result.err, "telepresence traffic manager")
    assert result.seconds < ANSWER_SECONDS


@case("scp gets an answer, not a hang: {}", [("sftp protocol", []), ("its old protocol", ["-O"])])
def scp(t, world, options):
    file = t.write("file", "content")
    result = t.run(
        [tool("scp", "openssh-client"), *options[1], "-F", world.manager.config, file, "manager:there"], seconds=15)
    result.failed()
    contains(result.err, "telepresence traffic manager")


@case("wrong arguments of a command: one line why, its usage, status 2")
def usage(t, world):
    result = t.run(world.manager.ssh("manager", "services", "--jsn")).failed(2)
    matches(result.err, r"services: .*--jsn")
    matches(result.err, r"usage: services")
    equal(result.out, b"", "stdout")


@case("a command reads no input and does not wait for its end")
def ignores_input(t, world):
    result = t.run(world.manager.ssh("manager", "version"), input=b"x" * 300_000).succeeded()
    matches(result.out, r"\d+\.\d+")


@case("`services --namespace` shows that namespace alone")
def one_namespace(t, world):
    value = json.loads(t.run(world.manager.ssh("manager", "services", "--namespace", "other", "--json")).out)
    equal([(item["namespace"], item["name"]) for item in value["items"]], [("other", "web")], "services")
