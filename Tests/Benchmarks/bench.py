"""Measures the table of ratios: every row side by side in one run."""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from statistics import median

from forwarders import SSH, Target, Telepresence
from measures import number
from processes import Failure, Processes
from rows import ROWS
from servers import SSHD, Keys, TrafficManager

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUTPUT = os.path.join(ROOT, ".build", "bench")
SECONDS = 11.5 * 60  # for the whole run, building excepted
HELPERS = {
    "target": [],
    "load": [],
    "delaylink": [],
    "sessions": ["-lssh2"],
    "libssh2-forward": ["-lssh2"],
    "alloccount.so": ["-shared", "-fPIC"],
}
INSIDE = "TELEPRESENCE_BENCH_INSIDE"  # set once this program runs in namespaces of its own


class OutOfTime(Failure):
    pass


class Bench:
    """One run: its directory, keys, servers and processes."""

    def __init__(self, options):
        self.options = options
        self.release = options.release
        self.deadline = time.monotonic() + SECONDS
        self.directory = tempfile.mkdtemp(prefix="run-", dir=OUTPUT)
        self.processes = Processes(self.directory)
        self.keys = Keys(self.directory)
        self.next_port = 20000  # below the kernel's range for outgoing connections
        self.pair = None
        self.ssh = SSH
        self.telepresence = SSH if options.self_check else Telepresence
        self.kinds = [SSHD if options.self_check else TrafficManager, SSHD]
        self.target = Target(self)

    def free_port(self):
        while self.next_port < 32000:
            self.next_port += 1
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", self.next_port))
                    return self.next_port
                except OSError:
                    continue
        raise Failure("no free port left")

    def helper(self, name):
        return os.path.join(OUTPUT, name)

    def binary(self, name):
        path = os.path.join(self.release, name)
        if not os.access(path, os.X_OK):
            raise Failure(f"{name} is not built")
        return path

    def start_server(self, side, **options):
        """Side 0 is ours, side 1 what it is compared with."""
        return self.kinds[side](self, **options)

    def servers(self):
        """Both servers, kept for all rows that need nothing special of them."""
        if not self.pair:
            self.pair = [self.start_server(0), self.start_server(1)]
        return self.pair

    def load(self, *arguments, network=None):
        return self.run(self.helper("load"), *arguments, network=network)

    def run(self, *command, network=None):
        seconds = max(1, min(60, self.deadline - time.monotonic()))
        return self.processes.run(command, network=network, seconds=seconds)

    def repetitions(self, count):
        return min(count, 2) if self.options.quick else count

    def milliseconds(self, duration):
        return duration // 2 if self.options.quick else duration

    def check_time(self):
        if time.monotonic() > self.deadline:
            raise OutOfTime("the run is out of time")

    def reset(self):
        """After a row that failed: nothing of it is left to disturb the next."""
        self.processes.stop_all()
        self.pair = None
        self.target = Target(self)

    def end(self):
        self.processes.stop_all()
        if not self.options.keep_logs:
            shutil.rmtree(self.directory, ignore_errors=True)


def note(text):
    print(text, file=sys.stderr, flush=True)


def build(options):
    """The C helpers, and a release of ours."""
    os.makedirs(OUTPUT, exist_ok=True)
    for name, flags in HELPERS.items():
        source = os.path.join(HERE, name.removesuffix(".so") + ".c")
        command = ["cc", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-o", os.path.join(OUTPUT, name), source, *flags]
        if subprocess.run(command).returncode:
            sys.exit(f"bench: {name} does not compile; it needs a C compiler and libssh2-1-dev")
    if options.self_check or options.no_build:
        return
    for product in ("traffic", "telepresence", "hello"):
        note(f"building {product} (release)")
        command = ["swift", "build", "-c", "release", "--product", product]
        if subprocess.run(command, cwd=ROOT, stdout=sys.stderr).returncode:
            note(f"bench: {product} does not build; its rows will say so")


def isolate():
    """Runs this program again in network, process and mount namespaces of its own, where they are allowed: ports and
    TCP settings are then its own, and the kernel ends all it started if it dies. Returns its exit status, or None
    where this process is to measure itself."""
    unshare = ["unshare", "--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child=SIGTERM"]
    if os.environ.get(INSIDE) or os.geteuid() != 0:
        return None
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        return None
    script = 'ip link set lo up && exec "$0" "$@"'
    command = ["setpriv", "--pdeathsig", "KILL", *unshare, "sh", "-c", script, sys.executable, "-B", *sys.argv]
    # The inner program alone keeps `held`: its end is the end of the pipe, even when unshare is gone before.
    ended, held = os.pipe()
    inside = subprocess.Popen(command, env={**os.environ, INSIDE: "1"}, pass_fds=(held,))
    os.close(held)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the inner program too
    for number_ in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number_, lambda *_: inside.kill())  # and --kill-child ends the inner program
    while os.read(ended, 1):
        pass
    return 130 if inside.wait() < 0 else inside.returncode


def first_line(*command):
    try:
        result = subprocess.run(command, capture_output=True, text=True)
        return (result.stdout + result.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def read(path, default="unknown"):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return default


def environment():
    model = next((line.split(":")[1].strip() for line in read("/proc/cpuinfo").splitlines() if "model name" in line), "")
    return {
        "cpu": f"{os.cpu_count()} × {model or platform.machine()}",
        "kernel": platform.release(),
        "ssh": first_line("ssh", "-V").split(",")[0],
        "libssh2": first_line("pkg-config", "--modversion", "libssh2"),
        "congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control"),
        "load": read("/proc/loadavg").split()[0],
    }


def measure(bench, row):
    """The row's measures, and why it ended early if it did."""
    measures = []
    try:
        bench.check_time()
        for item in row.measure(bench):
            measures.append(item)
            ratio = f"{number(item.ratio)} ×" if item.ratio is not None else ""
            beside = f" vs {number(median(item.theirs))}" if item.theirs else ""
            note(f"  {item.work}: {number(median(item.ours))}{beside} {item.unit}  {ratio} {item.verdict}")
        return measures, None
    except OutOfTime as failure:
        return measures, str(failure)
    except (Failure, OSError) as failure:
        bench.reset()
        return measures, str(failure)


def summary(results):
    """The table as the README shows it."""
    lines = ["| | work | against | reach | measured | |", "|---|---|---|---|---|---|"]
    for row, measures, failure in results:
        bound = [item for item in measures if item.verdict]
        figures = []
        for item in bound:
            if item.bound is not None:
                figures.append(f"{item.work} **{number(item.ratio)} ×**")
            else:
                figures.append(f"{item.work} **{number(median(item.ours))} {item.unit}**")
        if failure:
            figures.append(f"not measured: {failure}")
        verdict = "ok" if bound and not failure and all(item.verdict == "ok" for item in bound) else "short"
        lines.append(f"| {row.number} | {row.work} | {row.against} | {row.reach} | {'<br>'.join(figures)} | {verdict} |")
    return "\n".join(lines)


def details(results):
    """Every figure: medians of both sides, and their ratio."""
    lines = ["| | figure | ours | theirs | unit | ratio | reach | |", "|---|---|--:|--:|---|--:|---|---|"]
    for row, measures, _ in results:
        for item in measures:
            ours, theirs = median(item.ours), median(item.theirs) if item.theirs else None
            lines.append(
                f"| {row.number} | {item.work} | {number(ours)} | {number(theirs)} | {item.unit} "
                f"| {number(item.ratio)} | {item.reach} | {item.verdict} |"
            )
    return "\n".join(lines)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rows", metavar="N,N…", help=f"only these rows (1 to {ROWS[-1].number})")
    parser.add_argument("--quick", action="store_true", help="shorter and fewer runs: to try the benchmark out")
    parser.add_argument("--no-build", action="store_true", help="use the release build as it is")
    parser.add_argument("--release", default=os.path.join(ROOT, ".build", "release"), help="where the binaries are")
    parser.add_argument("--self-check", action="store_true",
                        help="sshd and ssh on both sides: every ratio of a sound benchmark is 1")  # fmt: skip
    parser.add_argument("--keep-logs", action="store_true", help="keep the run's directory in .build/bench")
    parser.add_argument("--json", default=os.path.join(OUTPUT, "results.json"), help="where every sample is written")
    options = parser.parse_args()
    options.release = os.path.abspath(options.release)
    numbers = {row.number for row in ROWS}
    try:
        options.rows = {int(part) for part in options.rows.split(",")} if options.rows else numbers
    except ValueError:
        parser.error(f"--rows {options.rows}: expected numbers with commas between, as in 1,4")
    if not options.rows <= numbers:
        parser.error(f"--rows: there is no row {min(options.rows - numbers)}; expected 1 to {max(numbers)}")
    return options


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    options = arguments()
    missing = [name for name in ("cc", "ssh", "ssh-keygen", "/usr/sbin/sshd", "ip", "unshare", "nsenter")
               if not shutil.which(name)]  # fmt: skip
    if missing:
        sys.exit(f"bench: not found: {', '.join(missing)}; "
                 "apt-get install gcc libssh2-1-dev openssh-client openssh-server iproute2 util-linux")  # fmt: skip
    if not os.environ.get(INSIDE):
        build(options)
    status = isolate()
    if status is not None:
        return status
    for number_ in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number_, interrupt)

    about = environment()
    note(", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in about.items()))
    bench = Bench(options)
    results = []
    begin = time.monotonic()
    try:
        for row in ROWS:
            if row.number in options.rows:
                note(f"row {row.number}: {row.work}")
                results.append((row, *measure(bench, row)))
                if results[-1][2]:
                    note(f"  not measured: {results[-1][2]}")
    except KeyboardInterrupt:
        note("bench: interrupted")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        bench.end()
    print(summary(results))
    print()
    print(details(results))
    note(f"{time.monotonic() - begin:.0f} s, samples in {options.json}")
    with open(options.json, "w") as file:
        rows = [{"row": row.number, "work": row.work, "against": row.against, "reach": row.reach, "failure": failure,
                 "measures": [item.as_json() for item in measures]} for row, measures, failure in results]  # fmt: skip
        json.dump({"environment": about, "quick": options.quick, "self_check": options.self_check, "rows": rows},
                  file, indent=1)  # fmt: skip
    return 130 if len(results) < len(options.rows) else 0
