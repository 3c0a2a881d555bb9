"""The clients that are not OpenSSH, behind one face.

Each of ours (peer_*.c, peer_*.py) is called with HOST PORT USER KEY HOSTKEY-SHA256 and `exec COMMAND`,
`direct HOST PORT` or `remote BIND PORT`, and joins the channel to its stdin and stdout; `remote` says `listening PORT`
on stderr and takes the first connection. PEER_REKEY is the number of bytes after which it is to rekey, if it can, PEER_KEX the
only key exchange that paramiko may use.
"""

import base64
import glob
import hashlib
import os
import subprocess
import threading

import targets
from harness import Skip
from world import free_port, public, tool

HERE = os.path.dirname(os.path.abspath(__file__))


def host_key_blob(manager):
    return base64.b64decode(public(manager.host_keys[0]).split()[1])


class Program:
    """A program of ours."""

    # Whether it can be told to rekey; otherwise the manager is the one that does.
    rekeys = False

    def __init__(self, name, argv):
        self.name, self.base = name, argv

    def argv(self, manager, *mode):
        fingerprint = hashlib.sha256(host_key_blob(manager)).hexdigest()
        return [*self.base, "127.0.0.1", str(manager.port), "tester", manager.world.key, fingerprint, *map(str, mode)]

    def environment(self, rekey):
        return {**os.environ, "PEER_REKEY": str(rekey)} if rekey else None

    def exec(self, t, manager, command, kex=None):
        return t.run(self.argv(manager, "exec", command), input=b"",
                     env={**os.environ, "PEER_KEX": kex} if kex else None)

    def direct(self, t, manager, host, port, rekey=None):
        return t.start(self.argv(manager, "direct", host, port), env=self.environment(rekey), stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE)

    def remote_bulk(self, t, manager, rekey=None):
        """A remote forward to a bulk target: its port."""
        process = t.start(self.argv(manager, "remote", "127.0.0.1", 0), env=self.environment(rekey),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        port = int(t.logged(process, r"^listening (\d+)", 20).group(1))
        threading.Thread(target=targets.serve_bulk, args=targets.over_pipes(process), daemon=True).start()
        return port, process


class Rekeying(Program):
    rekeys = True


def compile(world, source, output, *flags):
    cc = tool("cc", "gcc")
    result = subprocess.run([cc, "-O1", "-o", world.path(output), os.path.join(HERE, source), *flags],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        raise Skip(f"{source} does not compile: {result.stderr.strip().splitlines()[0] if result.stderr else '?'}")
    return world.path(output)


def bundled(pattern, package):
    """A library that a Python package brings along."""
    python = os.environ.get("PYTHON")
    if not python:
        raise Skip("there is no Python with the peers' packages (scripts/test installs it)")
    prefix = os.path.dirname(os.path.dirname(os.path.abspath(python)))
    found = glob.glob(os.path.join(prefix, "lib", "python3*", "site-packages", pattern))
    if not found:
        raise Skip(f"{package} of PyPI, which brings the library along, is not installed")
    return found[0]


def with_library(world, source, output, path):
    """The same source with a newer library in its place, which has the older one's binary interface."""
    # RPATH and not RUNPATH: the library's own libraries lie beside it.
    return compile(world, source, output, path, f"-Wl,-rpath,{os.path.dirname(path)}", "-Wl,--disable-new-dtags",
                   "-Wl,--allow-shlib-undefined")


def python_peer(name):
    python = os.environ.get("PYTHON")
    if not python or subprocess.run([python, "-c", f"import {name}"], capture_output=True).returncode:
        raise Skip(f"there is no Python with {name} (scripts/test installs it)")
    return Rekeying(name, [python, os.path.join(HERE, f"peer_{name}.py")])


class Dbclient:
    """Dropbear's client: no option makes it rekey."""

    name = "dbclient"
    rekeys = False

    def __init__(self, world):
        self.program = tool("dbclient", "dropbear-bin")
        self.key = world.path("id_dropbear")
        subprocess.run([tool("dropbearconvert", "dropbear-bin"), "openssh", "dropbear", world.key, self.key],
                       check=True, capture_output=True)

    def argv(self, t, manager, *rest, options=()):
        home = t.path("home")
        os.makedirs(os.path.join(home, ".ssh"), mode=0o700, exist_ok=True)
        with open(os.path.join(home, ".ssh", "known_hosts"), "w") as file:
            file.write("127.0.0.1 " + " ".join(public(manager.host_keys[0]).split()[:2]) + "\n")
        argv = [self.program, "-i", self.key, "-p", str(manager.port), *options, "tester@127.0.0.1", *rest]
        return ["env", f"HOME={home}", *argv]

    def exec(self, t, manager, command):
        return t.run(self.argv(t, manager, command), input=b"")

    def direct(self, t, manager, host, port, rekey=None):
        return t.start(self.argv(t, manager, options=["-B", f"{host}:{port}"]), stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE)

    def remote_bulk(self, t, manager, rekey=None):
        server = targets.Server(targets.bulk)
        t.closing.append(server.close)
        port = free_port()
        process = t.start(self.argv(t, manager, options=["-N", "-R", f"127.0.0.1:{port}:127.0.0.1:{server.port}"]))
        return port, process


class Plink:
    """PuTTY's client; it takes its rekey limit from a saved session."""

    name = "plink"
    rekeys = True

    def __init__(self, world):
        self.program = tool("plink", "putty-tools")
        self.key = world.path("id.ppk")
        subprocess.run([tool("puttygen", "putty-tools"), world.key, "-O", "private", "-o", self.key],
                       check=True, capture_output=True)

    def argv(self, t, manager, *rest, options=(), rekey=None):
        home = t.path("home")
        os.makedirs(os.path.join(home, ".putty", "sessions"), exist_ok=True)
        with open(os.path.join(home, ".putty", "sessions", "interop"), "w") as file:
            file.write(f"HostName=127.0.0.1\nProtocol=ssh\nRekeyBytes={rekey or '1G'}\n")
        digest = base64.b64encode(hashlib.sha256(host_key_blob(manager)).digest()).decode().rstrip("=")
        argv = [self.program, "-load", "interop", "-ssh", "-batch", "-noagent", "-no-antispoof", "-hostkey",
                f"SHA256:{digest}", "-i", self.key, "-P", str(manager.port), "-l", "tester", *options, *rest]
        return ["env", f"HOME={home}", *argv]

    def exec(self, t, manager, command):
        return t.run(self.argv(t, manager, command), input=b"")

    def direct(self, t, manager, host, port, rekey=None):
        return t.start(self.argv(t, manager, options=["-nc", f"{host}:{port}"], rekey=rekey), stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE)

    def remote_bulk(self, t, manager, rekey=None):
        server = targets.Server(targets.bulk)
        t.closing.append(server.close)
        port = free_port()
        process = t.start(self.argv(
            t, manager, options=["-v", "-N", "-R", f"127.0.0.1:{port}:127.0.0.1:{server.port}"], rekey=rekey))
        t.logged(process, r"Remote port forwarding from .* enabled")
        return port, process


MAKERS = {
    "libssh2 (Debian's, 1.10)": lambda world: Program(
        "libssh2", [compile(world, "peer_libssh2.c", "peer_libssh2", "-lssh2")]),
    "libssh2 (1.11)": lambda world: Program("libssh2", [with_library(
        world, "peer_libssh2.c", "peer_libssh2_new", bundled("ssh2_python.libs/libssh2*.so*", "ssh2-python"))]),
    "libssh (Debian's, 0.10)": lambda world: Rekeying(
        "libssh", [compile(world, "peer_libssh.c", "peer_libssh", "-lssh")]),
    "libssh (0.11)": lambda world: Rekeying("libssh", [with_library(
        world, "peer_libssh.c", "peer_libssh_new", bundled("ssh_python.libs/libssh-*.so*", "ssh-python"))]),
    "paramiko": lambda world: python_peer("paramiko"),
    "asyncssh": lambda world: python_peer("asyncssh"),
    "dbclient": Dbclient,
    "plink": Plink,
}


def peer(world, name):
    return world.once(f"peer {name}", lambda: MAKERS[name](world))
