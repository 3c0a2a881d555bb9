"""Logs in to sshd and to the manager with the same lines of authorized_keys, and compares what each permits."""

import concurrent.futures
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

work = os.environ["WORK"]
manager_binary = os.path.join(os.environ["BIN"], "traffic")
user = getpass.getuser()


def path(name):
    return os.path.join(work, name)


def keygen(*arguments):
    subprocess.run(["ssh-keygen", "-q", *arguments], check=True, env={**os.environ, "TZ": "UTC"})


def read(name):
    with open(path(name)) as file:
        return file.read()


def write(name, text):
    with open(path(name), "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(text)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def certificate(name, *options, principals=user, authority="authority"):
    shutil.copy(path("key.pub"), path(name + ".pub"))
    named = ["-n", principals] if principals else []
    keygen("-s", path(authority), "-I", name, *named, *options, path(name + ".pub"))


class Server:
    """One of the two, with its own authorized_keys."""

    def __init__(self, name):
        self.name, self.keys, self.log = name, f"{name}.keys", path(f"{name}.log")
        self.port = free_port()
        write(self.keys, "")

    def start(self, command):
        self.process = subprocess.Popen(command, stdout=open(self.log, "w"), stderr=subprocess.STDOUT)
        self.wait(lambda: self.banner(), "start")

    def banner(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def wait(self, condition, what):
        deadline = time.monotonic() + 20
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                print(f"not ok authorized_keys: {self.name} did not {what}\n" + read(f"{self.name}.log"))
                sys.exit(1)
            time.sleep(0.01)

    def permit(self, text):
        write(self.keys, text)

    def ssh(self, options, command=None):
        arguments = ["ssh", "-F", "none", "-i", path("key"), "-p", str(self.port)]
        for option in [
            "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "BatchMode=yes",
            "PreferredAuthentications=publickey", "ConnectTimeout=10", "ExitOnForwardFailure=yes", "LogLevel=DEBUG1",
        ]:
            arguments += ["-o", option]
        arguments += [*options, f"{user}@127.0.0.1"] + ([command] if command else [])
        try:
            ended = subprocess.run(arguments, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
        except subprocess.TimeoutExpired as error:
            log = "".join(read(f"{self.name}.log").splitlines(True)[-20:])
            print(f"not ok authorized_keys: {self.name} did not answer {' '.join(arguments)}\n{error.stderr}\n{log}")
            sys.exit(1)
        return ended.returncode, ended.stderr

    def may_log_in(self, options=()):
        return "Permission denied" not in self.ssh(options, self.command)[1]

    def may_open(self, target, options=()):
        status, errors = self.ssh([*options, "-W", target])
        if "Permission denied" in errors:
            return "denied"
        return not any(text in errors for text in self.refusals)

    def may_listen(self, place, options=()):
        status, errors = self.ssh([*options, "-R", f"{place}:127.0.0.1:9"], self.command)
        if "Permission denied" in errors:
            return "denied"
        return "remote port forwarding failed" not in errors


class SSHD(Server):
    refusals = ["administratively prohibited"]
    command = "true"

    def __init__(self):
        super().__init__("sshd")
        os.makedirs("/run/sshd", exist_ok=True)
        options = [
            f"HostKey={path('host')}", f"AuthorizedKeysFile={path(self.keys)}", "StrictModes=no", "UsePAM=no",
            "PermitRootLogin=yes", "PidFile=none", "GatewayPorts=clientspecified", "UseDNS=no", "MaxStartups=100",
        ]
        command = [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", str(self.port)]
        for option in options + ["ListenAddress=127.0.0.1"]:
            command += ["-o", option]
        self.start(command)


class Manager(Server):
    # It may also refuse to reach what is no part of the cluster, which is another matter.
    refusals = ["permitopen of line", "does not permit port forwarding"]
    command = "version"

    def __init__(self):
        super().__init__("manager")
        write("services.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: hello}\nspec: {ports: [{port: 80}]}\n")
        self.start([
            manager_binary, "manager", "--services", path("services.yaml"), "--authorized-keys", path(self.keys),
            "--host-key", path("host"), "--ssh-listen", f"127.0.0.1:{self.port}", "--api-listen", "127.0.0.1:0",
        ])

    def permit(self, text):
        reloads = self.reloads()
        super().permit(text)
        self.process.send_signal(signal.SIGHUP)
        self.wait(lambda: self.reloads() > reloads, "reload")

    def reloads(self):
        return read("manager.log").count("authorized keys reloaded")


LOGIN = [
    "", "restrict", "RESTRICT,", ",restrict", "restrict,,pty", "nonsense", "no-restrict", "restrict, pty", "pty \"x\"",
    'command="true"', 'command="true",command="true"', "command=true", 'command="true', "command",
    'from="127.0.0.1"', 'from="10.0.0.1"', 'from="127.0.0.0/8"', 'from="127.0.0.1/8"', 'from="*,!127.0.0.1"',
    'from="!127.0.0.1,*"', 'from="127.*"', 'from=""', 'from="127.0.0.1,"', 'from="localhost"', 'from="!10.0.0.1"',
    'from="127.0.0.1",from="127.0.0.1"', 'from="127.0.0.1,10.0.0.0/33"', 'from="! 127.0.0.1,*"', 'from="0.0.0.0/0"',
    'from="::/0"', 'expiry-time="20200101"', 'expiry-time="20990101Z"', 'expiry-time="20991301"', 'expiry-time=""',
    'expiry-time="209901011200"', 'expiry-time="20990101",expiry-time="20200101"', "cert-authority",
    f'principals="{user}"', 'environment="A=b"', 'environment="A"', 'permitopen="a"', 'permitopen="a:0"',
    'permitopen="::1:1"', 'permitopen="[::1]:1"', 'permitlisten="0"', 'permitlisten="1"', 'tunnel="x"', 'tunnel="1"',
    "no-touch-required", "verify-required", "ssh-ed25519",
]
OPEN = [
    (options, target)
    for options in [
        "", "restrict", "no-port-forwarding", "restrict,port-forwarding", "port-forwarding,restrict",
        'permitopen="localhost:9"', 'permitopen="LOCALHOST:9"', 'permitopen="local*:9"', 'permitopen="*:9"',
        'permitopen="localhost:*"', 'permitopen="[localhost]:9"', 'permitopen="other:1",permitopen="localhost:9"',
        'permitopen="localhost/9"', 'permitlisten="9"', 'restrict,permitopen="localhost:9"',
    ]
    for target in ["localhost:9", "LOCALHOST:9", "localhost:10"]
]
LISTEN = [
    (options, place)
    for options in [
        "", "restrict", 'permitlisten="{port}"', 'permitlisten="localhost:{port}"', 'permitlisten="local*:{port}"',
        'permitlisten="LOCALHOST:{port}"', 'permitlisten="127.0.0.1:{port}"', 'permitlisten="*"',
        'permitlisten="localhost:*"', 'permitlisten=":{port}"', 'permitlisten="!localhost:{port}"', 'permitopen="a:1"',
    ]
    for place in ["{port}", "localhost:{port}", "127.0.0.1:{port}", "0"]
]
AUTHORITY = [
    ("cert-authority", "plain"), ("", "plain"), (f'cert-authority,principals="{user}"', "plain"),
    ('cert-authority,principals="dev,ops"', "ops"), ('cert-authority,principals="o*"', "ops"),
    ("cert-authority", "ops"), ('cert-authority,principals="dev,ops"', "plain"), (f'principals="{user}"', "plain"),
    ('cert-authority,principals=""', "plain"), ("cert-authority", "expired"), ("cert-authority", "early"),
    ("cert-authority", "here"), ("cert-authority", "elsewhere"), ('cert-authority,from="10.0.0.1"', "here"),
    ("cert-authority", "forced"), ('cert-authority,command="other"', "forced"), ("cert-authority", "unknown"),
    ("cert-authority", "host"), ("cert-authority", "cleared"), ('cert-authority,expiry-time="20200101"', "plain"),
]
AUTHORITY_OPEN = [
    ("cert-authority", "plain"), ("cert-authority", "cleared"), ("cert-authority", "forwarding"),
    ("cert-authority,no-port-forwarding", "plain"), ("cert-authority,restrict", "plain"),
    ("cert-authority,restrict,port-forwarding", "plain"), ('cert-authority,permitopen="other:1"', "plain"),
    ('cert-authority,permitopen="localhost:9"', "plain"), ('cert-authority,permitopen="localhost:9"', "cleared"),
]


def main():
    for name in ["key", "authority", "host"]:
        keygen("-t", "ed25519", "-N", "", "-C", name, "-f", path(name))
    certificate("plain")
    certificate("ops", principals="ops")
    certificate("expired", "-V", "20200101:20210101")
    certificate("early", "-V", "20900101:20910101")
    certificate("here", "-O", "source-address=127.0.0.0/8")
    certificate("elsewhere", "-O", "source-address=10.0.0.0/8")
    certificate("forced", "-O", "force-command=true")
    certificate("unknown", "-O", "critical:new@example.com=x")
    certificate("host", "-h")
    certificate("cleared", "-O", "clear")
    certificate("forwarding", "-O", "clear", "-O", "permit-port-forwarding")
    servers = []
    try:
        servers += [SSHD()]
        servers += [Manager()]
        compare(servers)
    finally:
        for server in servers:
            server.process.terminate()
            server.process.wait()


def compare(servers):
    wrong = 0

    def case(what, options, key, ask):
        nonlocal wrong
        line = f"{options} {read(key)}" if options else read(key)

        def answer(server):
            server.permit(line)
            return ask(server)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            answers = list(pool.map(answer, servers))
        if answers[0] == answers[1]:
            print(f"ok {what}: {options or 'no options'}: {answers[0]}")
        else:
            wrong += 1
            print(f"not ok {what}: {options}: sshd says {answers[0]}, the manager {answers[1]}")
        sys.stdout.flush()

    for options in LOGIN:
        case("log in", options, "key.pub", lambda server: server.may_log_in())
    for options, target in OPEN:
        case(f"open {target}", options, "key.pub", lambda server: server.may_open(target))
    for options, place in LISTEN:
        port = str(free_port())
        options, place = options.replace("{port}", port), place.replace("{port}", port)
        case(f"listen on {place}", options, "key.pub", lambda server: server.may_listen(place))
    for options, name in AUTHORITY:
        chosen = ["-o", f"CertificateFile={path(name)}-cert.pub"]
        case(f"log in by certificate {name}", options, "authority.pub", lambda server: server.may_log_in(chosen))
    for options, name in AUTHORITY_OPEN:
        chosen = ["-o", f"CertificateFile={path(name)}-cert.pub"]
        case(f"open by certificate {name}", options, "authority.pub", lambda server: server.may_open("localhost:9", chosen))
    sys.exit(1 if wrong else 0)


main()
