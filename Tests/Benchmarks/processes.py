"""Starting, watching and ending the processes of a run."""

import json
import os
import signal
import subprocess
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")


class Failure(Exception):
    """A measurement that could not be made; its text says why."""


class Processes:
    """Everything a run has started; ended by process id, the last first."""

    def __init__(self, directory):
        self.directory = directory
        self.running = []

    def start(self, command, network=None, env=None, **options):
        """Starts `command`, in the network namespace of process `network` if one is given; stderr goes to a file."""
        if network:
            command = ["nsenter", f"--net=/proc/{network}/ns/net", "--", *command]
        errors = tempfile.NamedTemporaryFile("w+", dir=self.directory, suffix=".stderr", delete=False)
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        process = subprocess.Popen(
            [str(part) for part in command],
            stderr=errors,
            env={**os.environ, **env} if env else None,
            start_new_session=True,  # Ctrl-C reaches only this program, which ends the others itself
            **options,
        )
        process.errors = errors.name
        errors.close()
        self.running.append(process)
        return process

    def stop(self, process, seconds=5):
        """SIGTERM, then SIGKILL; with everything the process has forked since."""
        if process in self.running:
            self.running.remove(process)
        children = tree(process.pid)[1:] if process.poll() is None else []
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()

    def stop_all(self):
        for process in reversed(list(self.running)):
            self.stop(process)

    def run(self, command, network=None, seconds=60):
        """Runs a helper to its end and returns the JSON object it prints."""
        process = self.start(command, network=network, stdout=subprocess.PIPE)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{os.path.basename(str(command[0]))} {command[1]}: no end after {seconds} s") from None
        finally:
            self.stop(process)
        if process.returncode != 0:
            raise Failure(f"{os.path.basename(str(command[0]))} {command[1]}: {complaint(process)}")
        return json.loads(output)


def complaint(process):
    """The last line a process wrote to stderr."""
    try:
        with open(process.errors) as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError:
        lines = []
    return lines[-1] if lines else f"exit status {process.poll()}"


def tree(root):
    """`root` and its descendants that are alive."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat(entry)
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def stat(pid):
    """The fields of /proc/PID/stat from the third (state) on, or None once the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def cpu_seconds(root):
    """CPU time of a process and its descendants: nanosecond counts of those alive, ticks of those that ended."""
    total = 0.0
    for pid in tree(root):
        fields = stat(pid)
        if not fields:
            continue
        total += (int(fields[13]) + int(fields[14])) / TICKS  # cutime, cstime
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                    total += int(file.read().split()[0]) / 1e9
        except OSError:
            total += (int(fields[11]) + int(fields[12])) / TICKS  # utime, stime
    return total


def proportional_memory(root):
    """Bytes of a process and its descendants, shared pages divided among their users (PSS)."""
    total = 0
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
        except OSError:
            continue
    return total


def listening(pid, port):
    """Whether someone listens on a TCP port in the network namespace of `pid`."""
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{name}") as file:
                for line in list(file)[1:]:
                    fields = line.split()
                    if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                        return True
        except OSError:
            continue
    return False


def wait_until(condition, what, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"not after {seconds} s: {what}")
        time.sleep(0.01)


def wait_listening(process, port, what, seconds=15):
    """Returns once `process` (or a child) listens on `port`."""
    deadline = time.monotonic() + seconds
    while not listening(process.pid, port):
        if process.poll() is not None:
            raise Failure(f"{what} ended: {complaint(process)}")
        if time.monotonic() > deadline:
            raise Failure(f"{what} does not listen on port {port} after {seconds} s: {complaint(process)}")
        time.sleep(0.01)
