"""Keys of users, certificates, and the options of authorized_keys as clients meet them."""

import datetime
import os
import subprocess
import time

from harness import case, contains, equal, matches
from world import Manager, keygen, public, tool

KINDS = [("ed25519", "-t", "ed25519"), ("ecdsa 256", "-t", "ecdsa", "-b", "256"), ("ecdsa 384", "-t", "ecdsa", "-b", "384"),
         ("ecdsa 521", "-t", "ecdsa", "-b", "521"), ("rsa 2048", "-t", "rsa", "-b", "2048"),
         ("rsa 4096", "-t", "rsa", "-b", "4096")]


class Users:
    """One manager whose authorized_keys all cases of this file add to; each key has one line."""

    def __init__(self, world):
        self.world = world
        self.lines = []
        self.manager = Manager(world, authorized_keys="# nobody yet\n", name="users")


def users(world):
    return world.once("manager with many users", lambda: Users(world))


def add(t, world, options="", kind=("-t", "ed25519"), line=None):
    """A key that is listed with these options, once the manager has read it: the arguments to log in with it."""
    everybody = users(world)
    key = keygen(t.path(f"key{len(everybody.lines)}"), *kind)
    with world.lock:
        everybody.lines.append(line or f"{options} {public(key)}".strip())
        everybody.manager.authorize("\n".join(everybody.lines) + "\n")
    return key


def login(t, world, key, *arguments, options=(), manager=None, input=None):
    manager = manager or users(world).manager
    return t.run(manager.ssh("-o", f"IdentityFile={key}", *options, "manager", *arguments), input=input)


def logs_in(t, world, key, *options, seconds=10):
    """Waits until the manager has read the file."""
    end = time.monotonic() + seconds
    while True:
        result = login(t, world, key, "version", options=options)
        if result.status == 0 or time.monotonic() > end:
            return result.succeeded()
        time.sleep(0.1)


@case("user key {}", KINDS)
def key_type(t, world, kind):
    key = add(t, world, kind=kind[1:])
    logs_in(t, world, key)
    result = login(t, world, key, "version", options=["-v"]).succeeded()
    contains(result.err, "Authenticated to 127.0.0.1", "using \"publickey\"")
    if kind[0].startswith("rsa"):
        for algorithm in ("rsa-sha2-512", "rsa-sha2-256"):
            login(t, world, key, "version", options=["-o", f"PubkeyAcceptedAlgorithms={algorithm}"]).succeeded()
        # SHA-1 is not taken, whatever the client thinks of it.
        login(t, world, key, "version", options=["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"]).failed(255)


@case("an rsa key of 1024 bits is refused")
def small_rsa(t, world):
    key = add(t, world, kind=("-t", "rsa", "-b", "1024"))
    logs_in(t, world, add(t, world))
    contains(login(t, world, key, "version", options=["-o", "RequiredRSASize=1024"]).failed(255).err,
             "Permission denied (publickey)")


@case("a key that is not listed is refused; passwords are not offered")
def unlisted(t, world):
    key = keygen(t.path("stranger"), "-t", "ed25519")
    result = t.run(world.manager.ssh("-o", f"IdentityFile={key}", "manager", "version", config=config_of(t, world)))
    result.failed(255)
    contains(result.err, "Permission denied (publickey)")
    result = t.run(world.manager.ssh("-o", "PreferredAuthentications=password,keyboard-interactive,none", "manager",
                                     "version")).failed(255)
    contains(result.err, "Permission denied (publickey)")


def config_of(t, world):
    """The manager's configuration without the key that is listed."""
    text = open(world.manager.config).read()
    return t.write("config", "".join(line for line in text.splitlines(True) if "IdentityFile" not in line))


@case("any user name will do with a listed key: it is the key that counts, and the name is shown")
def names(t, world):
    result = t.run(world.manager.ssh("-l", "somebody-else", "manager", "sessions")).succeeded()
    contains(result.out, "somebody-else")


@case("six wrong keys end the connection (MaxAuthTries), five and the right one do not")
def tries(t, world):
    strangers = [keygen(t.path(f"stranger{number}"), "-t", "ed25519") for number in range(6)]
    config = config_of(t, world)

    def offer(keys):
        options = [option for key in keys for option in ("-o", f"IdentityFile={key}")]
        return t.run([tool("ssh"), "-F", config, *options, "manager", "version"])

    result = offer([*strangers, world.key]).failed(255)
    contains(result.err, "Too many authentication failures")
    offer([*strangers[:5], world.key]).succeeded()


# --- certificates ----------------------------------------------------------------------------------------------------


def certify(t, ca, key, *options):
    subprocess.run([tool("ssh-keygen"), "-q", "-s", ca, "-I", "interop", *options, key + ".pub"], check=True,
                   capture_output=True)
    return key


def authority(t, world, options=""):
    """A CA that is listed; its key is no user's."""
    ca = keygen(t.path("ca"), "-t", "ed25519")
    everybody = users(world)
    with world.lock:
        everybody.lines.append(f"cert-authority{',' + options if options else ''} {public(ca)}")
        everybody.manager.authorize("\n".join(everybody.lines) + "\n")
    logs_in(t, world, add(t, world))
    return ca


@case("a user certificate of a {} key", [KINDS[0], KINDS[1], KINDS[4]])
def certificate(t, world, kind):
    ca = authority(t, world)
    key = certify(t, ca, keygen(t.path("user"), *kind[1:]), "-n", "tester", "-V", "+1h")
    result = login(t, world, key, "version", options=["-v"]).succeeded()
    contains(result.err, "-CERT")


@case("certificates: principals, expiry, wrong authority, no principals, the authority's own key")
def certificate_refusals(t, world):
    ca = authority(t, world)

    def refused(key, why):
        result = login(t, world, key, "version")
        assert result.status == 255, f"{why}: logged in"
        contains(result.err, "Permission denied")

    def fresh(name):
        return keygen(t.path(name), "-t", "ed25519")

    refused(certify(t, ca, fresh("another"), "-n", "somebody", "-V", "+1h"), "another principal")
    login(t, world, t.path("another"), "version", options=["-l", "somebody"]).succeeded()
    refused(certify(t, ca, fresh("comma"), "-n", "x,y", "-V", "+1h"), "other principals")
    refused(certify(t, ca, fresh("old"), "-n", "tester", "-V", "-2h:-1h"), "expired")
    refused(certify(t, ca, fresh("early"), "-n", "tester", "-V", "+1h:+2h"), "not valid yet")
    refused(certify(t, ca, fresh("everybody"), "-V", "+1h"), "no principals")
    refused(certify(t, fresh("stranger"), fresh("wrong"), "-n", "tester", "-V", "+1h"), "another authority")
    refused(certify(t, ca, fresh("host"), "-h", "-n", "tester", "-V", "+1h"), "a host certificate")
    refused(certify(t, ca, fresh("elsewhere"), "-n", "tester", "-V", "+1h", "-O", "source-address=192.0.2.0/24"),
            "another source address")
    refused(ca, "the authority's own key")


@case("cert-authority with principals= takes those and no others")
def principals(t, world):
    ca = authority(t, world, 'principals="dev,ops"')
    login(t, world, certify(t, ca, keygen(t.path("dev"), "-t", "ed25519"), "-n", "dev", "-V", "+1h"),
          "version").succeeded()
    login(t, world, certify(t, ca, keygen(t.path("me"), "-t", "ed25519"), "-n", "tester", "-V", "+1h"),
          "version").failed(255)


@case("a certificate without permit-port-forwarding forwards nothing")
def certificate_extensions(t, world):
    ca = authority(t, world)
    key = certify(t, ca, keygen(t.path("user"), "-t", "ed25519"), "-n", "tester", "-V", "+1h", "-O", "clear")
    login(t, world, key, "version").succeeded()
    denied(t, world, key, "hello:80", r"administratively prohibited")
    key = certify(t, ca, keygen(t.path("user2"), "-t", "ed25519"), "-n", "tester", "-V", "+1h", "-O", "clear", "-O",
                  "permit-port-forwarding")
    reaches(t, world, key, "hello:80")


# --- options ---------------------------------------------------------------------------------------------------------


def ask(t, world, key, destination):
    return t.run(users(world).manager.ssh("-o", f"IdentityFile={key}", "-W", destination, "manager"),
                 input=b"GET / HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n\r\n")


def reaches(t, world, key, destination):
    contains(ask(t, world, key, destination).succeeded().out, "pod=")


def denied(t, world, key, destination, pattern=r"open failed: administratively prohibited: "):
    matches(ask(t, world, key, destination).failed().err, pattern)


def listens(t, world, key, spec):
    return t.run(users(world).manager.ssh(
        "-v", "-o", f"IdentityFile={key}", "-o", "ExitOnForwardFailure=yes", "-R", spec, "manager", "version"))


# The configuration names the key everybody has, which these managers do not list: ssh offers it in vain.


@case("authorized_keys {}", [
    ("restrict", "restrict", ["!hello:80"], ["!0:localhost:9"]),
    ("restrict,port-forwarding", "restrict,port-forwarding", ["hello:80"], ["0:localhost:9"]),
    ("port-forwarding,restrict", "port-forwarding,restrict", ["!hello:80"], ["!0:localhost:9"]),
    ("no-port-forwarding", "no-port-forwarding", ["!hello:80"], ["!0:localhost:9"]),
    ("permitopen", 'permitopen="hello:80"', ["hello:80", "!hello.default:80", "!web.other:8080"], ["0:localhost:9"]),
    ("permitopen with any port", 'permitopen="hello:*"', ["hello:80", "!hello.default:80"], []),
    ("two of permitopen", 'permitopen="hello:80",permitopen="web.other:8080"',
     ["hello:80", "web.other:8080", "!hello.default:80"], []),
    ("permitlisten", 'permitlisten="localhost:*"', ["hello:80"], ["localhost:0:localhost:9", "!*:0:localhost:9"]),
    ("permitlisten of one port", 'permitlisten="65001"', [], ["!0:localhost:9", "!65002:localhost:9"]),
    ("from here", 'from="127.0.0.0/8,!127.0.0.9"', ["hello:80"], []),
    ("command", 'command="version"', ["hello:80"], []),
    ("no-pty,no-agent-forwarding,no-X11-forwarding", "no-pty,no-agent-forwarding,no-X11-forwarding", ["hello:80"],
     ["0:localhost:9"]),
    ("expiry-time in the future", 'expiry-time="20991231"', ["hello:80"], []),
])
def options(t, world, what):
    _, text, opens, listeners = what
    key = add(t, world, text)
    logs_in(t, world, key)
    for destination in opens:
        (denied if destination[0] == "!" else reaches)(t, world, key, destination.lstrip("!"))
    for spec in listeners:
        result = listens(t, world, key, spec.lstrip("!"))
        if spec[0] == "!":
            contains(result.failed(255).err, "remote port forwarding failed")
        else:
            result.succeeded()


@case("authorized_keys refuses a login: {}", [
    ("from elsewhere", 'from="192.0.2.0/24"'),
    ("from everywhere but here", 'from="*,!127.0.0.1"'),
    ("expiry-time in the past", 'expiry-time="20200101"'),
    ("an option that nobody knows", "no-such-option"),
    ("an option without its value", "permitopen"),
    ("permitopen without a port", 'permitopen="none"'),
    ("principals without cert-authority", 'principals="tester"'),
])
def refused_login(t, world, what):
    key = add(t, world, what[1])
    logs_in(t, world, add(t, world))
    contains(login(t, world, key, "version").failed(255).err, "Permission denied (publickey)")


@case("command= replaces a command, a shell and a subsystem")
def forced(t, world):
    key = add(t, world, 'command="version"')
    expected = logs_in(t, world, key).out
    equal(login(t, world, key, "sessions").out, expected, "answer to another command")
    equal(login(t, world, key).out, expected, "answer to a shell")
    matches(expected, r"\d+\.\d+")


@case("a session ends when its key expires (expiry-time)")
def expires(t, world):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=10)
    key = add(t, world, f'expiry-time="{moment:%Y%m%d%H%M%S}Z"')
    logs_in(t, world, key, seconds=8)
    process = t.start(users(world).manager.ssh("-v", "-N", "-o", f"IdentityFile={key}", "manager"))
    t.logged(process, "Authenticated to")
    equal(t.ended(process, 15), 255, "ssh's exit status")
    contains(t.log(process), "the key has expired")


@case("authorized_keys is read again: a key that comes logs in, a key that goes does not")
def live(t, world):
    key, other = keygen(t.path("key"), "-t", "ed25519"), keygen(t.path("other"), "-t", "ed25519")
    manager = Manager(world, authorized_keys=public(other) + "\n")
    t.closing.append(manager.close)

    def tries(which):
        return t.run(manager.ssh("-o", f"IdentityFile={which}", "manager", "version")).status == 0

    assert tries(other) and not tries(key)
    manager.authorize(public(other) + "\n" + public(key) + "\n")
    t.wait("the new key", lambda: tries(key), 15)
    manager.authorize(public(other) + "\n")
    t.wait("the key's end", lambda: not tries(key), 15)
    # A broken line costs itself alone.
    manager.authorize("ssh-ed25519 AAAA broken\n\n# comment\n" + public(key) + "\n")
    t.wait("the key beside a broken line", lambda: tries(key), 15)
    assert not tries(other)
    # A file that went away lets nobody in.
    os.unlink(manager.authorized_keys)
    t.wait("the end of all", lambda: not tries(key), 15)
