#!/usr/bin/env python3
"""Runs a program on a terminal as a shell with job control does: terminal.py ENTER… is the way into the namespace."""
import os
import pty
import select
import sys
import time


def main():
    enter = " ".join(sys.argv[1:])
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["PS1"] = "$ "
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    seen = ""

    def expect(text):
        nonlocal seen
        deadline = time.monotonic() + 10
        while text not in seen:
            if not select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
                sys.exit(f"no {text!r} in {seen!r}")
            seen += os.read(terminal, 4096).decode(errors="replace")
        seen = seen[seen.index(text) + len(text) :]

    def send(text):
        os.write(terminal, text.encode())

    # The quotes keep what is typed from being taken for what is printed.
    send(f"{enter} sh -c 'echo st''arted; exec sleep 100'\n")
    expect("started")
    send("\x03")
    expect("^C")
    send("echo sta''tus=$?\n")
    expect("status=130")
    send(f"{enter} sh -c 'echo ag''ain; exec sleep 100'\n")
    expect("again")
    send("\x1a")
    expect("Stopped")
    send("echo sh''ell; fg\n")
    expect("shell")
    expect("sleep 100")
    time.sleep(0.2)
    send("\x03")
    send("echo sta''tus=$?\n")
    expect("status=130")
    send(f"{enter} sh -c 'stty size; te''st -t 0 && read line && echo got=$line'\n")
    send("word\n")
    expect("got=word")
    print("terminal ok")


main()
