"""Clients that are not OpenSSH: login, commands, bulk both ways, remote forwards, rekeying under load."""

import json
import re
import time

import targets
from cases_transport import MIB, rekeying_manager
from clients import connect, http_get, read_some, socks, try_ports
from harness import Skip, case, contains, equal
from peers import MAKERS, peer
from world import free_port, tool

SIZE = 20 * MIB


@case("{}: logs in and runs a command; its output, errors and status", list(MAKERS))
def commands(t, world, name):
    client = peer(world, name)
    result = client.exec(t, world.manager, "services --json").succeeded()
    assert any(item["name"] == "hello" for item in json.loads(result.out)["items"])
    result = client.exec(t, world.manager, "no-such-thing").failed(127)
    equal(result.out, b"", "stdout")
    contains(result.err, "telepresence traffic manager", "no-such-thing")


@case("{}: 20 MiB each way at once through direct-tcpip", list(MAKERS), seconds=90)
def direct(t, world, name):
    process = peer(world, name).direct(t, world.manager, "bulk", 7000)
    judge(t, process, lambda: targets.call_bulk(*targets.over_pipes(process), SIZE, SIZE))


@case("{}: 20 MiB each way at once through a remote forward", list(MAKERS), seconds=90)
def remote(t, world, name):
    port, process = peer(world, name).remote_bulk(t, world.manager)
    t.wait("the port", lambda: is_open(port), 15, process)
    with connect(port, 80) as connection:
        judge(t, process, lambda: targets.call_bulk(*targets.over_socket(connection), SIZE, SIZE))


def is_open(port):
    """Whether something listens, without connecting: the first connection is the one that counts."""
    with open("/proc/net/tcp") as file:
        return any(f":{port:04X} 00000000:0000 0A" in line for line in file)


@case("{}: rekeys under load of its own accord", list(MAKERS), seconds=90)
def rekey(t, world, name):
    client = peer(world, name)
    if not client.rekeys:
        raise Skip(f"{name} has no option for it (the manager's own rekeying is tested with it)")
    before = rekeys(t, world)
    process = client.direct(t, world.manager, "bulk", 7000, rekey=1 << 20)
    judge(t, process, lambda: targets.call_bulk(*targets.over_pipes(process), SIZE, SIZE))
    assert rekeys(t, world) > before, "the manager counted no rekey"


@case("{}: survives the manager's rekeying under load", list(MAKERS), seconds=90)
def manager_rekeys(t, world, name):
    client = peer(world, name)
    manager = world.once("rekeying manager", lambda: rekeying_manager(world))
    process = client.direct(t, manager, "bulk", 7000)
    judge(t, process, lambda: targets.call_bulk(*targets.over_pipes(process), SIZE, SIZE))


@case("{}: a refused destination ends it, and does not hang it", list(MAKERS))
def refused(t, world, name):
    process = peer(world, name).direct(t, world.manager, "nowhere", 80)
    process.stdin.close()
    equal(process.stdout.read(), b"", "data")
    t.ended(process, 15)


def rekeys(t, world):
    return len(re.findall("keys exchanged anew", world.manager.log()))


def judge(t, process, exchange):
    try:
        exchange()
    except (AssertionError, OSError) as error:
        time.sleep(0.2)
        raise AssertionError(f"{error}\nstatus {process.poll()}\n{t.log(process)}") from None


@case("{} gets an answer, not a hang", ["psftp", "pscp"])
def putty_files(t, world, name):
    plink = peer(world, "plink")
    program = tool(name, "putty-tools")
    argv = plink.argv(t, world.manager)
    argv[argv.index(plink.program)] = program
    # What plink knows and these do not.
    argv = [word for word in argv if word not in ("-ssh", "-no-antispoof")]
    file = t.write("file", "content")
    result = t.run(argv if name == "psftp" else [*argv, file, "127.0.0.1:there"], input=b"ls\nquit\n", seconds=15)
    result.failed()
    contains(result.err + result.out, "telepresence traffic manager")


@case("plink -D, -L and -R in one session")
def plink_forwards(t, world):
    server = targets.Server(targets.echo)
    t.closing.append(server.close)

    def attempt(base):
        local, remote = free_port(), free_port()
        process = t.start(peer(world, "plink").argv(t, world.manager, options=[
            "-v", "-N", "-D", f"127.0.0.1:{base}", "-L", f"127.0.0.1:{local}:hello:80", "-R",
            f"{remote}:127.0.0.1:{server.port}"]))
        t.logged(process, "Remote port forwarding from .* enabled")
        return base, local, remote

    proxy, local, remote = try_ports(attempt)
    contains(http_get(connect(local)), "pod=hello-")
    connection, code = socks(proxy, "db-1.db", world.db_port)
    equal(code, 0, "SOCKS reply")
    contains(http_get(connection), "pod=db-1")
    with connect(remote) as connection:
        connection.sendall(b"plink")
        equal(read_some(connection, 5), b"plink", "echo")


@case("dbclient -L and a keepalive")
def dbclient_forward(t, world):
    def attempt(port):
        process = t.start(peer(world, "dbclient").argv(
            t, world.manager, options=["-N", "-K", "1", "-L", f"{port}:hello:80"]))
        t.wait("the port", lambda: is_open(port), process=process)
        return port, process

    port, process = try_ports(attempt)
    contains(http_get(connect(port)), "pod=hello-")
    # Dropbear ends after three unanswered ones.
    time.sleep(4.5)
    assert process.poll() is None, t.log(process)
    contains(http_get(connect(port)), "pod=hello-")
