#!/usr/bin/python3
"""Resident memory of coordinator and worker: idle, and at most while a context passes. Prints a table and judges nothing.

    make bench-memory [BENCH="--megabytes 1000"]

The context is one file of random bytes per 100 MB, beside 1,000 small ones. Peaks are the kernel's own (VmHWM), reset
before the build. The spawner of the worker is a process of its own, and counted beside it."""
import argparse
import os
import time

from devfarm import REACHES_ALL, Devfarm


def status(pid, field):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(next(line for line in file if line.startswith(field + ":")).split()[1]) / 1024


def forget_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        return [int(child) for child in file.read().split()]


def fill(context, megabytes):
    os.makedirs(os.path.join(context, "small"))
    for i in range(1000):
        with open(os.path.join(context, "small", str(i)), "wb") as file:
            file.write(os.urandom(2000))
    for i in range(megabytes // 100):
        with open(os.path.join(context, f"large-{i}"), "wb") as file:
            for _ in range(100):
                file.write(os.urandom(1_000_000))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=1000)
    options = parser.parse_args()
    with Devfarm() as farm:
        names = ("coordinator", f"worker-{farm.native[6:]}")
        programs = {name: farm.pid(name) for name in names}
        for child in children(programs[names[1]]):
            programs[f"{names[1]}, spawner"] = child
        farm.submit(farm.context("first", "FROM scratch\nCOPY Dockerfile /\n"), [farm.native])
        context = farm.context("context", REACHES_ALL)
        fill(context, options.megabytes)
        time.sleep(6)               # a heartbeat and more
        idle = {name: status(pid, "VmRSS") for name, pid in programs.items()}
        for pid in programs.values():
            forget_peak(pid)
        start = time.monotonic()
        farm.submit(context, [farm.native], "--whole-context")
        seconds = time.monotonic() - start
        print(f"resident MB; targets: idle below 32, at most 64 while {options.megabytes} MB pass ({seconds:.1f} s from submit to published)")
        print(f"{'':24}{'idle':>8}{'peak':>8}{'after':>8}")
        for name, pid in programs.items():
            print(f"{name:24}{idle[name]:8.1f}{status(pid, 'VmHWM'):8.1f}{status(pid, 'VmRSS'):8.1f}")


main()
