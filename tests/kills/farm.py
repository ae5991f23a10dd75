"""A farm of the harness's own (contrib/devfarm), of which one program runs under `inject`, and what is asked of it."""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from program import BUILD, PROGRAMS, TOP, Program, Violation, manner_of_end, patient, wait_for

ARCHITECTURES = {"x86_64": ("amd64", "arm64"), "aarch64": ("arm64", "amd64")}
READY = {"coordinator": " main: ready\n", "worker": " takes this worker as "}
# What follows a death is waited for in each point, so it comes soon; and three faults in a row are what this is about.
SETTINGS = """lease
    gone-grace-ms = 300
retry
    delay-ms = 100
worker
    quarantine-ms = 0
depot
    grace-ms = 1000
"""
ACCEPT = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
START_SECONDS = 30
DEVFARM_SECONDS = 120


def devfarm(environment, *words):
    done = subprocess.run([f"{TOP}/contrib/devfarm", *words], env=environment, capture_output=True, text=True, timeout=patient(DEVFARM_SECONDS))
    if done.returncode:
        raise RuntimeError(f"devfarm {' '.join(words)}: {done.stderr}")


def processes_of(folder):
    """Those with something of it on their command line: a pair of process and command line for each"""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/" in line:
            found.append((int(path.split("/")[2]), line))
    return found


def take_down(folder):
    """With FARM_KEEP it ends, and its folder stays, with logs and databases."""
    environment = dict(os.environ, FARM_BUILD=BUILD)
    if os.environ.get("FARM_KEEP"):
        for name in os.listdir(f"{folder}/farm"):
            if name.endswith(".pid"):
                devfarm(environment, "stop", f"{folder}/farm", name.removesuffix(".pid"))
        print(f"# kept: {folder}", flush=True)
    else:
        devfarm(environment, "down", f"{folder}/farm")
        shutil.rmtree(folder, ignore_errors=True)


def kill_all_of(folder):
    """Those who still ask a farm something whose own process died"""
    for process, _ in processes_of(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


class Farm:
    def __init__(self, names, program, tell_farm):
        self.names, self.program, self.tell = names, program, tell_farm     # of the calls to look at, and the program that is under test
        self.folder = tempfile.mkdtemp(prefix="archfarm-kills.")
        self.tell(self.folder)
        self.state = f"{self.folder}/farm"
        self.native, self.foreign = ARCHITECTURES[os.uname().machine]
        kept = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "archfarm")
        self.scratch, self.client_cache = f"{self.folder}/tmp", f"{self.folder}/cache"
        os.mkdir(self.scratch)
        self.environment = dict(os.environ, FARM_BUILD=BUILD, FARM_CACHE=os.environ.get("FARM_CACHE") or kept,
                                FARM_CONFIG=f"{self.state}/coordinator/admin.conf", XDG_CACHE_HOME=self.client_cache)
        self.inside = dict(self.environment, TMPDIR=self.scratch)
        self.running, self.is_stopping = None, False
        self.restarted, self.trouble, self.gave_up = threading.Event(), None, []
        self.restarted.set()
        self.on_death = lambda farm: None
        self.may_lack = False           # disk and memory: what it could not clear up waits for its next start, what it could not log is told

    # -- up and down ---------------------------------------------------------------------------------------------------

    def devfarm(self, verb, *names):
        devfarm(self.environment, verb, self.state, *names)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def up(self):
        self.devfarm("up")
        self.devfarm("stop", "coordinator")
        with open(f"{self.state}/coordinator.conf", "a", encoding="utf-8") as conf:
            conf.write(SETTINGS)
        self.devfarm("start", "coordinator")
        self.has_foreign = os.path.exists(f"{self.state}/worker-{self.foreign}.pid")
        with open(f"{self.state}/env", encoding="utf-8") as env:
            self.registry = next(line for line in env if line.startswith("REGISTRY=")).strip()[9:]
        wait_for(START_SECONDS, self.has_workers, "the workers are back")
        if self.program != "farmctl":
            self.devfarm("stop", self.unit())
            self.start()
            wait_for(START_SECONDS, self.has_workers, "the workers are back")

    def __exit__(self, *_):
        self.is_stopping = True
        if self.running:
            self.running.end()
        take_down(self.folder)
        self.tell(None)

    def unit(self):
        return f"worker-{self.native}" if self.program == "worker" else self.program

    def log_path(self):
        return f"{self.state}/{self.unit()}.log"

    def read_log(self, start=0):
        with open(self.log_path(), "rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")

    def read_troubles(self):
        """What the program under test has complained of since it was started"""
        return [line for line in self.read_log(self.log_start).splitlines() if re.search(r" (warn|error) ", line)]

    def has_workers(self):
        listed = self.ask("worker", "ls")
        wanted = 1 + self.has_foreign
        return listed and sum(worker["state"] == "online" for worker in listed["workers"]) == wanted

    # -- the program under test, when it is a daemon -------------------------------------------------------------------

    def launch(self, fault, on_end=None):
        self.log_start = os.path.getsize(self.log_path())
        arguments = [PROGRAMS[self.program], "-c", f"{self.state}/{self.unit()}.conf"]
        with open(self.log_path(), "ab") as log:
            program = Program(arguments, self.names, log, self.inside, on_end=on_end)
        if fault:
            program.arm(fault)
        self.running = program
        program.start()
        wait_for(START_SECONDS, lambda: not program.is_alive() or self.is_ready(program), f"{self.program} is ready")
        return program

    def is_ready(self, program):
        """Its log says so; where the fault was a line of the log that could not be written, the farm's answer does."""
        if READY[self.program] in self.read_log(self.log_start):
            return True
        return program.fired and self.log_path() in program.fired and self.has_workers()

    def lacks_port(self):
        """Somebody else has the port for a moment, as whoever connects from it does."""
        return "Address already in use" in self.read_log(self.log_start)

    def start(self, fault=None):
        """Until it is ready, perhaps after the fault has ended it."""
        program = self.launch(fault, self.ended)
        self.settle()
        return program

    def ended(self, program):
        """In the program's thread: nobody wanted that, so it is started again, as systemd does."""
        if not self.is_stopping:
            self.restarted.clear()
            threading.Thread(target=self.revive, args=(program,), daemon=True).start()

    def look_at_end(self, program):
        """May it have ended so?"""
        log = self.read_log(self.log_start)
        if self.lacks_port():
            return
        if not program.fired:
            raise Violation(f"{self.program} ended by itself with status {program.status}: {log[-600:]}")
        if program.fault.error == 0 and os.WIFSIGNALED(program.status) and os.WTERMSIG(program.status) == signal.SIGKILL:
            return
        if how := manner_of_end(program.status, log):
            self.gave_up.append(how)
        elif not re.search(r"error.{10,}|^farm-\w+: .{10,}", log, re.M):
            raise Violation(f"{self.program} ended with status {program.status}, and its log does not say why: {log[-600:]}")

    def revive(self, program):
        try:
            self.look_at_end(program)
            self.on_death(self)
            again = self.launch(None)
            while not again.is_alive() and self.lacks_port():
                time.sleep(0.5)
                again = self.launch(None)
            if not again.is_alive():
                raise Violation(f"{self.program} does not start again: {self.read_log(self.log_start)[-600:]}")
            again.on_end = self.ended
            program.wait(20)
        except Violation as violation:
            self.trouble = violation
        except Exception as error:      # a fault of the harness is no silence
            self.trouble = Violation(f"the harness: {error!r}")
        self.restarted.set()

    def settle(self):
        """What has ended is up again."""
        program = self.running
        if program and program.fired and program.fault.error == 0:
            program.ended.wait(patient(1 if program.is_of_helper() else 10))
        if not self.restarted.wait(patient(120)):
            raise Violation(f"{self.program} is not up again")
        if self.trouble:
            trouble, self.trouble = self.trouble, None
            raise trouble

    def stop(self, fault=None):
        """In good order, unless the fault comes between."""
        program = self.running
        if fault:
            program.arm(fault)
        self.is_stopping = True
        program.signal(signal.SIGTERM)
        program.wait(40)
        self.is_stopping = False
        if program.status != 0:
            self.look_at_end(program)
        self.on_death(self)
        return program

    # -- questions -----------------------------------------------------------------------------------------------------

    def ask(self, *words, seconds=30):
        """farmctl's document, by a farmctl that nothing happens to; None when it fails."""
        done = subprocess.run([PROGRAMS["farmctl"], *words, "--json"], env=self.environment, capture_output=True, text=True, timeout=patient(seconds))
        return json.loads(done.stdout) if done.returncode == 0 else None

    def build(self, number):
        return self.ask("inspect", str(number))

    def get(self, path, accept=ACCEPT):
        """A document of the registry and its digest, None where there is none."""
        data, digest = self.get_bytes(path, accept)
        return (json.loads(data), digest) if data is not None else (None, None)

    def get_bytes(self, path, accept="*/*"):
        request = urllib.request.Request(f"http://{self.registry}/v2/{path}", headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.read(), answer.headers.get("Docker-Content-Digest")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None, None
            raise

    # -- what lies on the disk -----------------------------------------------------------------------------------------

    def copy_of(self, folder):
        """Of a state that nobody uses now: what it holds is looked at without healing it."""
        copy = f"{self.folder}/copy"
        shutil.rmtree(copy, ignore_errors=True)
        os.mkdir(copy)
        for name in ("farm.db", "farm.db-wal", "objects.db", "objects.db-wal"):
            if os.path.exists(path := f"{self.state}/{folder}/{name}"):
                shutil.copy(path, copy)
        if os.path.exists(segments := f"{self.state}/{folder}/segments"):
            shutil.copytree(segments, f"{copy}/segments")
        return copy


def query(path, text):
    with sqlite3.connect(path) as database:
        return database.execute(text).fetchall()
