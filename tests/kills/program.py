"""A program under `inject`: it is started, armed, and what becomes of it is heard in a thread of its own."""
import os
import re
import signal
import subprocess
import threading
import time

TOP = os.environ.get("top_srcdir") or os.path.realpath(f"{os.path.dirname(os.path.abspath(__file__))}/../..")
BUILD = os.environ.get("top_builddir") or os.environ.get("FARM_BUILD") or TOP
INJECT = f"{BUILD}/tests/kills/inject"
PROGRAMS = {"coordinator": f"{BUILD}/coordinator/farm-coordinator", "worker": f"{BUILD}/worker/farm-worker", "farmctl": f"{BUILD}/farmctl/farmctl"}

HELPERS = ["farm-spawner", "farm-keeper"]       # processes of a worker, by their names

# What is counted where a program is killed: what changes something outside of it. The rest can only fail.
CHANGING = "create write sync truncate rename link unlink mkdir attribute lock send connect socket fork exec mount".split()
FAILING = CHANGING + "open read receive descriptor poll map".split()


class Violation(Exception):
    """The farm has not kept its word."""


def patient(seconds):
    """Limits are for a machine that has little else to do: so many times longer, up to four, as others want its processors."""
    return round(seconds * max(1, min(4, os.getloadavg()[0] / os.cpu_count())))


def wait_for(seconds, question, what):
    """Until it answers; its answer."""
    seconds = patient(seconds)
    until = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > until:
            raise Violation(f"in {seconds} s not: {what() if callable(what) else what}")
        time.sleep(0.02)
    return answer


def parse_counts(words):
    return {name: int(count) for name, count in (word.split("=") for word in words)}


class Program:
    """One run of a program. `fired` is what was done to it, once it was; `counts` its calls when it ended."""

    def __init__(self, arguments, names, output, environment, errors=subprocess.STDOUT, on_end=None):
        reports, write_end = os.pipe()
        self.fault, self.fired, self.status, self.counts, self.on_end = None, None, None, {}, on_end
        self.answers, self.has_answer = [], threading.Condition()
        self.ended, self.gone = threading.Event(), threading.Event()
        self.inject = subprocess.Popen([INJECT, str(write_end), ",".join(names), *arguments], stdin=subprocess.PIPE, stdout=output,
                                       stderr=errors, env=environment, pass_fds=[write_end], text=True)
        os.close(write_end)
        self.listener = threading.Thread(target=self.listen, args=(reports,), daemon=True)
        self.listener.start()

    def listen(self, reports):
        with os.fdopen(reports, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self.hear(line.rstrip("\n"))
        self.ended.set()
        self.gone.set()
        with self.has_answer:
            self.has_answer.notify_all()

    def hear(self, line):
        word, _, rest = line.partition(" ")
        if word == "fired":
            number, _, self.fired = rest.partition(" ")
            self.fault.fire(int(number), self.fired)
        elif word == "ended":
            status, *counts = rest.split()
            self.status, self.counts = int(status), parse_counts(counts)
            if self.on_end:
                self.on_end(self)
            self.ended.set()
        elif word == "gone":
            self.gone.set()
        else:
            with self.has_answer:
                self.answers.append(rest)
                self.has_answer.notify_all()

    def ask(self, command):
        """The answer; None when it has ended."""
        with self.has_answer:
            self.answers.clear()
            try:
                self.inject.stdin.write(command + "\n")
                self.inject.stdin.flush()
            except BrokenPipeError:
                return None
            self.has_answer.wait_for(lambda: self.answers or self.gone.is_set(), 30)
            return self.answers[0] if self.answers else None

    def start(self):
        answer = self.ask("start")
        if answer is None:
            raise RuntimeError("inject does not start the program")
        self.pid = int(answer)

    def arm(self, fault):
        self.fault = fault
        self.ask(f"arm {'new' if fault.kinds else fault.left} {fault.error or 'kill'} {','.join(fault.names)} {fault.kinds or ''}")

    def disarm(self):
        self.ask("disarm")

    def count(self):
        answer = self.ask("count")
        return parse_counts(answer.split()) if answer else self.counts

    def is_of_helper(self):
        """What happened, happened to a child: it may be survived."""
        return any(f" {name} " in self.fired for name in HELPERS)

    def is_alive(self):
        return not self.ended.is_set()

    def signal(self, number):
        if self.is_alive():
            os.kill(self.pid, number)

    def wait(self, seconds):
        """Its end, and that of all that it has started."""
        seconds = patient(seconds)
        if not self.ended.wait(seconds):
            self.signal(signal.SIGKILL)
            raise Violation(f"process {self.pid} does not end in {seconds} s")
        if not self.gone.wait(patient(20)):
            raise Violation(f"process {self.pid} has ended, and what it started lives on")
        self.inject.wait(5)

    def end(self):
        """By force, with all that it has started."""
        self.inject.stdin.close()
        self.gone.wait(20)
        self.inject.wait(5)


class Fault:
    """What is to happen: at the left-th call of these names; it is handed from program to program until it fires.
    With `kinds`, a file, at one that is not in there."""

    def __init__(self, left, names, error=0, label="kill", kinds=None):
        self.left, self.names, self.error, self.label, self.kinds = left, names, error, label, kinds
        self.fired, self.passed, self.first = None, 0, left

    def fire(self, number, what):
        self.fired, self.number = what, self.passed + number

    def pass_by(self, counts):
        """So many calls were done without it."""
        if not self.fired:
            passed = sum(counts.get(name, 0) for name in self.names)
            self.passed, self.left = self.passed + passed, max(1, self.left - passed)


def manner_of_end(status, text):
    """How a program ended: None where it may end so by itself; the words of a library that gave up; else it is an error of ours."""
    if os.WIFEXITED(status):
        return None
    number = os.WTERMSIG(status)
    library = re.search(r"\((src/[a-z_0-9]+\.[ch]pp:\d+)\)", text) or re.search(r"(src/z[a-z_]+\.c:\d+)", text)
    if number == signal.SIGABRT and library:
        return f"libzmq gives up at {library[1]}"
    if number == signal.SIGABRT and "out of memory" in text:
        return "out of memory"
    raise Violation(f"ended by {signal.Signals(number).name}: {text[-600:]}")
