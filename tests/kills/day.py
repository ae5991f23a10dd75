"""The day: what people do, in steps that stand each for itself. A point is one of them, with something bad at one moment of it."""
import hashlib
import os
import re
import subprocess

from program import PROGRAMS, Program, Violation, manner_of_end, patient, wait_for

COMMAND_SECONDS = 60


def contents_of(folder):
    """What COPY takes: the digest of each file"""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            with open(path := f"{place}/{name}", "rb") as file:
                found[os.path.relpath(path, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


class Day:
    """`fault` is armed when a step begins: in the daemon under test, or from one farmctl to the next."""

    def __init__(self, farm, ledger):
        self.farm, self.ledger, self.fault, self.serial = farm, ledger, None, 0
        self.platforms = [farm.native] + ([farm.foreign] if farm.has_foreign else [])
        self.counted = {}
        self.steps = {"follow": self.follow, "change": self.change, "detach": self.detach, "again": self.again, "tags": self.tags,
                      "cancel": self.cancel, "retry": self.retry, "look": self.look, "prune": self.prune}
        if farm.program != "farmctl":
            self.steps |= {"start": self.start, "stop": self.stop}

    def run(self, name, fault=None):
        """One step. Its calls are then in self.counted, by name."""
        self.fault, self.serial = fault, self.serial + 1
        self.counted = {}
        daemon = self.farm.running if self.farm.program != "farmctl" and name not in ("start", "stop") else None
        before = daemon.count() if daemon else {}
        if daemon and fault:
            daemon.arm(fault)
        self.steps[name]()
        if daemon:
            self.count_daemon(daemon, before)

    def count_daemon(self, daemon, before):
        self.farm.settle()
        after = daemon.count()
        self.counted = {key: after[key] - before.get(key, 0) for key in after}
        if self.fault:
            daemon.disarm()
            self.fault.pass_by(self.counted)

    # -- farmctl ---------------------------------------------------------------------------------------------------------

    def once(self, words):
        """One farmctl, perhaps with the fault; its status, output and errors."""
        farm = self.farm
        if farm.program != "farmctl":
            done = subprocess.run([PROGRAMS["farmctl"], *words], env=farm.inside, capture_output=True, text=True, timeout=patient(COMMAND_SECONDS))
            return done.returncode, done.stdout, done.stderr, None
        paths = [f"{farm.folder}/{name}" for name in ("out", "err")]
        with open(paths[0], "wb") as output, open(paths[1], "wb") as errors:
            program = Program([PROGRAMS["farmctl"], *words], farm.names, output, farm.inside, errors=errors)
            if self.fault and not self.fault.fired:
                program.arm(self.fault)
            program.start()
            program.wait(COMMAND_SECONDS)
        for name, count in program.counts.items():
            self.counted[name] = self.counted.get(name, 0) + count
        if self.fault:
            self.fault.pass_by(program.counts)
        texts = []
        for path in paths:
            with open(path, encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
        return program.status, *texts, program

    def command(self, *words, done=None):
        """As a person would: a farmctl that died, or could not, is called once more; `done` says in errors that it was done before.
        What it prints."""
        for tries in range(3):
            try:
                status, output, errors, program = self.once(words)
            except subprocess.TimeoutExpired as error:
                self.farm.settle()
                raise Violation(f"farmctl {' '.join(words)} does not end; it said: {(error.stderr or b'').decode()[-400:]}") from error
            code = status if program is None else os.waitstatus_to_exitcode(status)
            if code == 0 or tries > 0 and done and re.search(done, errors):
                return output
            self.excuse(words, code, errors, program)
            self.farm.settle()
        raise Violation(f"farmctl {' '.join(words)}: {code} again: {errors[-400:]}")

    def excuse(self, words, code, errors, program):
        """May it end so? Only when something was done to it, or to the daemon, and with words."""
        if program is None and self.farm.running:
            self.farm.running.count()           # what was done is told before that, and may not be heard yet
        if program and program.fired:
            if code == -9 and self.fault.error == 0:
                return
            how = manner_of_end(program.status, errors)
            if how:
                self.farm.gave_up.append(how)
                return
        elif not (self.fault and self.fault.fired):
            raise Violation(f"farmctl {' '.join(words)}: {code}: {errors[-400:]}")
        if not re.search(r"^farmctl: .{10,}", errors, re.M) and "out of memory" not in errors and "error while loading shared libraries" not in errors:
            raise Violation(f"farmctl {' '.join(words)}: {code}, and says only: {errors[-400:]!r}")

    # -- contexts and builds ---------------------------------------------------------------------------------------------

    def context(self, name, run=""):
        folder = f"{self.farm.folder}/{name}"
        os.makedirs(f"{folder}/many", exist_ok=True)
        self.write(f"{folder}/Dockerfile", f"FROM {self.farm.registry}/base:latest\nCOPY . /files\n{run}")
        for number in range(12):
            if not os.path.exists(path := f"{folder}/many/{number}"):
                self.write(path, f"{number}\n" * 40)
        self.write(f"{folder}/stamp", f"{self.serial}\n")
        return folder

    def write(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def submit(self, name, *options, tags=None, platforms=None, context=None):
        """Arguments of a submit; the ledger knows what is to come of it."""
        platforms = ",".join(f"linux/{name}" for name in platforms or self.platforms)
        tags, context = tags or [name], context or self.context(name)
        self.ledger.expect(tags, self.serial, contents_of(context))
        named = [word for tag in tags for word in ("-t", f"{self.farm.registry}/day/{tag}")]
        return ["submit", "--platform", platforms, "--emulation", "allow", "--label", f"stamp={self.serial}", *named, *options, context]

    # -- the steps -------------------------------------------------------------------------------------------------------

    def follow(self):
        output = self.command(*self.submit("follow:1", "-q"))
        if not re.fullmatch(r"sha256:[0-9a-f]{64}\n", output):
            raise Violation(f"submit -q printed {output!r}")
        self.ledger.published("follow:1", output.strip())

    def change(self):
        """One file more than last time, and one of several chunks"""
        folder = self.context("change:1")
        self.write(f"{folder}/many/large", f"{self.serial} is the number of this point\n" * 20000)
        self.write(f"{folder}/many/{self.serial % 12}", f"{self.serial} was here\n")
        self.command(*self.submit("change:1", platforms=[self.farm.native], context=folder))

    def detach(self):
        number = self.command(*self.submit("detach:1", "-q", "--detach")).strip()
        self.ledger.acknowledged(number)
        self.command("wait", "-q", number)

    def again(self):
        """The same twice: the second time nothing is built, and another tag is set."""
        folder = self.context("again:1")
        for tags in (["again:1"], ["again:1", "again:same"]):
            self.command(*self.submit("again:1", "-q", platforms=[self.farm.native], tags=tags, context=folder))

    def tags(self):
        self.command(*self.submit("tags:1", "-q", platforms=[self.farm.native], tags=["tags:1", "tags:2", "other:1"]))

    def cancel(self):
        folder = self.context("cancel", run="RUN echo begins; sleep 300\n")
        number = self.command("submit", "--platform", f"linux/{self.farm.native}", "-q", "--detach", "-t", f"{self.farm.registry}/day/cancel:1", folder).strip()
        self.ledger.acknowledged(number, "cancelled")
        wait_for(40, lambda: self.is_building(number), f"build {number} builds")
        self.command("cancel", number, done="cancelled")

    def is_building(self, number):
        """It says so itself; a cancelled one does no more. One that a farmctl submitted which died before it told its number is in its way."""
        self.farm.settle()
        listed = self.farm.ask("ls", "--limit", "5") or {"builds": []}
        for build in listed["builds"]:
            if "/day/cancel:" in build["tags"][0] and str(build["id"]) != number and build["state"] in ("queued", "running"):
                self.farm.ask("cancel", str(build["id"]))
        log = self.farm.ask("logs", number)
        return log and any(line["text"] == "begins" for line in log["lines"])

    def retry(self):
        """Of `detach`, which has gone before"""
        self.command("retry", "-q", str(self.ledger.last_published("detach:1")))

    def look(self):
        number = self.ledger.last_published("follow:1") or 1
        self.command("ls")
        self.command("inspect", "--events", str(number))
        self.command("logs", str(number))
        self.command("worker", "ls")

    def prune(self):
        self.command("prune")
        self.command("du")

    # -- of a daemon -----------------------------------------------------------------------------------------------------

    def start(self):
        self.farm.stop()
        program = self.farm.start(self.fault)
        self.counted = program.count()
        if self.fault:
            program.disarm()
            self.fault.pass_by(self.counted)

    def stop(self):
        before = self.farm.running.count()
        program = self.farm.stop(self.fault)
        self.counted = {name: count - before.get(name, 0) for name, count in program.counts.items()}
        if self.fault:
            self.fault.pass_by(self.counted)
        self.farm.start()
