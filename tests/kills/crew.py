"""Trials side by side, each in a process of its own that is heard through a pipe: one that dies is missed at once."""
import contextlib
import multiprocessing
import multiprocessing.connection
import signal
import sys
import traceback

from farm import kill_all_of, take_down

END_SECONDS = 60        # for a trial that is told to end: its farm goes down with it


class Overdue(Exception):
    """What was limited does not end."""


@contextlib.contextmanager
def limit(seconds, what):
    """Raises where it stands, so the traceback tells what was waited for. In the main thread, and not one within another."""
    def ring(*_):
        raise Overdue(f"{what} does not end in {seconds} s")
    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def leave(*_):
    """Once: a second signal would come between while the farm goes down."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(143)


def obey_signals():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


class Member:
    """A trial in its process. `tell` of a trial sends a pair: ("farm", folder or None) while it runs, then ("result", …)."""

    def __init__(self, trial):
        self.trial, self.farm, self.result = trial, None, None
        self.pipe, end = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.Process(target=self.run, args=(end,))
        self.process.start()
        end.close()                     # else its end is not seen

    def run(self, end):
        obey_signals()
        try:
            end.send(("result", self.trial.run(lambda folder: end.send(("farm", folder)))))
        except Exception:
            traceback.print_exc()
            sys.exit(1)

    def hear(self):
        """False when there is nothing more to come."""
        try:
            kind, value = self.pipe.recv()
        except (EOFError, ConnectionError):
            return False
        if kind == "farm":
            self.farm = value
        else:
            self.result = value
        return True

    def end(self):
        """How it ended, in words. What it has left of its farm is taken down."""
        self.process.join(END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        if self.farm:
            kill_all_of(self.farm)
            take_down(self.farm)
        code = self.process.exitcode
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"status {code}"


def run_all(trials):
    """Each trial with its result as it comes, and how its process ended; the result is None when it ended without."""
    members = []
    try:
        for trial in trials:
            members.append(Member(trial))
        while members:
            ready = multiprocessing.connection.wait([member.pipe for member in members])
            for member in [member for member in members if member.pipe in ready and not member.hear()]:
                how = member.end()
                members.remove(member)
                yield member.trial, member.result, how
    finally:
        for member in members:
            member.process.terminate()
        for member in members:
            member.end()
