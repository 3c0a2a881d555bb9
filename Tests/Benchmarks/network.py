"""Two network namespaces, workstation and cluster, joined by a wire with a delay."""

import os
import subprocess

from processes import Failure

WORKSTATION, CLUSTER = "10.98.76.1", "10.98.76.2"
# Both peers alike: more than bandwidth x delay of any row, so that TCP's buffers are not what is measured.
BUFFERS = "4096 131072 67108864"


class DelayedNetwork:
    """`workstation` and `cluster` are processes whose network namespaces `Processes.start(network=)` takes."""

    def __init__(self, bench, round_trip, loss=0):
        """`round_trip` in milliseconds, `loss` as a part of all packets."""
        if os.geteuid() != 0:
            raise Failure("needs root, to make two network namespaces")
        self.processes = bench.processes
        self.held = [
            bench.processes.start(["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"],
                                  stdout=subprocess.PIPE) for _ in range(2)
        ]  # fmt: skip
        try:
            for holder in self.held:
                self.expect_ready(holder, "unshare --net")
            self.workstation, self.cluster = (holder.pid for holder in self.held)
            link = bench.processes.start(
                [bench.helper("delaylink"), self.workstation, self.cluster, round_trip * 500, loss],
                stdout=subprocess.PIPE,
            )
            self.held.append(link)
            self.expect_ready(link, "delaylink")
            for pid, address in ((self.workstation, WORKSTATION), (self.cluster, CLUSTER)):
                self.configure(pid, address)
        except BaseException:
            self.stop()
            raise

    def expect_ready(self, process, what):
        if process.stdout.readline().strip() != b"ready":
            raise Failure(f"{what}: {open(process.errors).read().strip() or 'failed'}")

    def configure(self, pid, address):
        script = f"""set -e
sysctl -q -w net.ipv4.tcp_rmem="{BUFFERS}" net.ipv4.tcp_wmem="{BUFFERS}" net.ipv4.tcp_no_metrics_save=1
ip link set lo up
ip address add {address}/30 dev wire
ip link set wire mtu 1500 txqueuelen 20000 up
"""
        result = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "--", "sh", "-c", script],
                                capture_output=True, text=True)  # fmt: skip
        if result.returncode:
            raise Failure(f"network namespace: {result.stderr.strip()}")

    def stop(self):
        for process in reversed(self.held):
            self.processes.stop(process)
