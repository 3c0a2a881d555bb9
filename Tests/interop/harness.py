"""Cases, the processes they start, and the runner that judges them."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

# Two cases at once: with more, timings say more about the machine than about the manager.
WORKERS = 2
CASE_SECONDS = 60
# The whole run ends in this time, come what may.
RUN_SECONDS = 345


class Skip(Exception):
    """The case cannot be run here; the text says why."""


CASES = []


class Case:
    def __init__(self, title, body, argument, seconds):
        self.title, self.body, self.argument, self.seconds = title, body, argument, seconds


def case(title, each=None, seconds=CASE_SECONDS):
    """Registers a function as a case; with `each` as one case for each argument, whose name stands in for `{}`."""

    def register(body):
        if each is None:
            CASES.append(Case(title, body, None, seconds))
        else:
            for argument in each:
                name = argument[0] if isinstance(argument, tuple) else argument
                CASES.append(Case(title.format(name), body, argument, seconds))
        return body

    return register


def shown(data, limit=1500):
    text = data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")
    return text if len(text) <= limit else text[: limit // 2] + "\n[…]\n" + text[-limit // 2 :]


def equal(actual, expected, what="value"):
    if actual != expected:
        raise AssertionError(f"{what}: got {shown(repr(actual), 600)}, expected {shown(repr(expected), 600)}")


def contains(text, *parts):
    text = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
    for part in parts:
        if part not in text:
            raise AssertionError(f"no {part!r} in:\n{shown(text)}")


def matches(text, pattern):
    text = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
    found = re.search(pattern, text, re.M)
    if not found:
        raise AssertionError(f"nothing like /{pattern}/ in:\n{shown(text)}")
    return found


class Result:
    def __init__(self, argv, status, out, err, seconds):
        self.argv, self.status, self.out, self.err, self.seconds = argv, status, out, err, seconds

    @property
    def text(self):
        return self.out.decode("utf-8", "backslashreplace")

    @property
    def errors(self):
        return self.err.decode("utf-8", "backslashreplace")

    def succeeded(self):
        if self.status != 0:
            raise AssertionError(f"{self}: exit status {self.status}\n{shown(self.errors)}{shown(self.text, 500)}")
        return self

    def failed(self, status=None):
        if self.status == 0 or status not in (None, self.status):
            expected = "a failure" if status is None else status
            raise AssertionError(f"{self}: exit status {self.status}, expected {expected}\n{shown(self.errors)}")
        return self

    def __str__(self):
        return " ".join(map(str, self.argv))[-300:]


class Scratch:
    """What one case has: a directory, a time limit, and processes that end with it."""

    def __init__(self, title, seconds):
        self.dir = tempfile.mkdtemp(prefix="interop-")
        self.deadline = time.monotonic() + seconds
        self.processes = []
        self.closing = []
        self.title = title
        self.numbers = itertools.count(1)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o600):
        path = self.path(name)
        with open(path, "w" if isinstance(text, str) else "wb") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def left(self, seconds):
        left = min(seconds, self.deadline - time.monotonic())
        if left <= 0:
            raise AssertionError("the case took too long")
        return left

    def start(self, argv, env=None, **streams):
        """Starts a process in a group of its own; stderr goes to a file that `log` reads."""
        log = self.path(f"log-{next(self.numbers)}")
        streams.setdefault("stdin", subprocess.DEVNULL)
        streams.setdefault("stdout", subprocess.DEVNULL)
        with open(log, "wb") as file:
            streams.setdefault("stderr", file)
            process = subprocess.Popen(
                list(map(str, argv)), env=env, start_new_session=True, bufsize=0, **streams)
        process.log_path = log
        self.processes.append(process)
        return process

    @staticmethod
    def log(process):
        with open(process.log_path, "rb") as file:
            return file.read().decode("utf-8", "backslashreplace")

    def run(self, argv, input=None, seconds=20, env=None):
        """Runs a process to its end. One that takes longer has hung, which is a failure."""
        began = time.monotonic()
        out = tempfile.TemporaryFile(dir=self.dir)
        process = self.start(
            argv, env=env, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL, stdout=out)
        try:
            process.communicate(input, timeout=self.left(seconds))
        except subprocess.TimeoutExpired:
            stop(process)
            raise AssertionError(
                f"hung for {seconds:.0f} s: {' '.join(map(str, argv))[-300:]}\n{shown(self.log(process))}") from None
        out.seek(0)
        with open(process.log_path, "rb") as file:
            err = file.read()
        return Result(argv, process.returncode, out.read(), err, time.monotonic() - began)

    def wait(self, what, condition, seconds=10, process=None):
        """Until `condition()` is true; gives its value."""
        end = time.monotonic() + self.left(seconds)
        while True:
            value = condition()
            if value:
                return value
            if process is not None and process.poll() is not None:
                raise AssertionError(f"{what}: the process ended with {process.returncode}\n{shown(self.log(process))}")
            if time.monotonic() > end:
                log = shown(self.log(process)) if process is not None else ""
                raise AssertionError(f"{what}: not within {seconds} s\n{log}")
            time.sleep(0.02)

    def logged(self, process, pattern, seconds=10):
        """Until the process's stderr has the pattern; gives the match."""
        return self.wait(f"/{pattern}/", lambda: re.search(pattern, self.log(process), re.M), seconds, process)

    def ended(self, process, seconds=10):
        try:
            return process.wait(self.left(seconds))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{process.args[0]} did not end in {seconds} s\n{shown(self.log(process))}") from None

    def close(self):
        for close in reversed(self.closing):
            close()
        for process in reversed(self.processes):
            stop(process)
        shutil.rmtree(self.dir, ignore_errors=True)


def stop(process):
    """Ends a process and whatever it left in its group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass
        try:
            process.wait(2)
            if number == signal.SIGTERM:
                continue
        except subprocess.TimeoutExpired:
            pass
    for stream in (process.stdin, process.stdout):
        if stream:
            try:
                stream.close()
            except OSError:
                pass


class Runner:
    def __init__(self, world, cases):
        self.world, self.cases = world, cases
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.lock = threading.Lock()
        self.running = {}
        self.began = time.monotonic()

    def run(self):
        end = threading.Timer(RUN_SECONDS, self.out_of_time)
        end.daemon = True
        end.start()
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(self.one, self.cases))
        end.cancel()
        return self.counts["failed"] == 0

    def one(self, item):
        scratch = Scratch(item.title, item.seconds)
        self.running[item.title] = scratch
        began = time.monotonic()
        try:
            arguments = [] if item.argument is None else [item.argument]
            item.body(scratch, self.world, *arguments)
            if not self.world.manager.is_running():
                raise AssertionError("the manager is gone\n" + shown(self.world.manager.log()))
            self.tell("passed", item.title, time.monotonic() - began)
        except Skip as reason:
            self.tell("skipped", item.title, time.monotonic() - began, str(reason))
        except Exception as error:  # noqa: BLE001
            if isinstance(error, AssertionError):
                detail = str(error)
            else:
                detail = "".join(traceback.format_exception(error)[-6:])
            self.tell("failed", item.title, time.monotonic() - began, detail)
        finally:
            self.running.pop(item.title, None)
            try:
                scratch.close()
            except Exception:  # noqa: BLE001
                traceback.print_exc()

    def tell(self, verdict, title, seconds, detail=""):
        with self.lock:
            self.counts[verdict] += 1
            if verdict == "skipped":
                print(f"skip {title}: {detail}")
            else:
                print(f"{'ok' if verdict == 'passed' else 'not ok'} {title} ({seconds:.1f} s)")
                if detail:
                    print("     " + detail.rstrip().replace("\n", "\n     "))
            sys.stdout.flush()

    def out_of_time(self):
        for title in list(self.running):
            self.tell("failed", title, time.monotonic() - self.began, f"the run took longer than {RUN_SECONDS} s")
        for scratch in list(self.running.values()):
            for process in scratch.processes:
                stop(process)
        self.world.close()
        self.summary()
        os._exit(1)

    def summary(self):
        print(f"{self.counts['passed']} passed, {self.counts['failed']} failed, {self.counts['skipped']} skipped"
              f" in {time.monotonic() - self.began:.0f} s")
        sys.stdout.flush()
