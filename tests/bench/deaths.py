"""make -C tests bench-deaths: how long a job of a worker that was killed (SIGKILL) takes until another worker has it, and how long a
worker whose connection was reset takes until it is back, and whether that costs its attempt. BENCH: how often, 20."""
import datetime
import os
import re
import signal
import subprocess
import sys
import time

from devfarm import Devfarm

SLOW = "FROM %BASE%\nARG N\nRUN echo begins $N; sleep 600\n"


def milliseconds(line):
    return datetime.datetime.strptime(line[:24], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp() * 1000


class Worker:
    """Another native worker, and its log."""

    def __init__(self, farm, name):
        self.farm, self.name, self.log = farm, name, f"{farm.folder}/{name}.log"
        self.conf = f"{farm.folder}/{name}.conf"
        with open(f"{farm.farm}/coordinator/join", encoding="utf-8") as file:
            join = file.read()
        words = ["farm-worker", "join", join, "-c", self.conf, f"--state={farm.folder}/{name}", f"--name={name}", "--labels=bench=yes",
                 f"--platforms={farm.native}", f"--registry-plain-http={farm.registry}"]
        subprocess.run(words, env=farm.environment, check=True, capture_output=True)
        self.start()

    def start(self):
        self.from_byte = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as file:
            self.process = subprocess.Popen(["farm-worker", "-c", self.conf], env=self.farm.environment, stdout=file, stderr=file)
        self.await_line("takes this worker as")

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait()

    def mark(self):
        self.from_byte = os.path.getsize(self.log)

    def line(self, pattern):
        with open(self.log, "rb") as file:
            file.seek(self.from_byte)
            for line in file.read().decode(errors="replace").splitlines():
                if re.search(pattern, line):
                    return line
        return None

    def await_line(self, pattern, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.line(pattern)
            if found:
                return milliseconds(found)
            time.sleep(0.01)
        sys.exit(f"bench: {self.name} did not say {pattern} in {seconds} s: {self.log}")


def begin(farm, context, number):
    """A build that runs until it is cancelled: its number, and once it runs the name of its worker."""
    build = farm.submit(context, [farm.native], "--detach", "--require", "bench=yes", "--build-arg", f"N={number}")["build"]
    until = time.monotonic() + 60
    while time.monotonic() < until:
        job = farm.farmctl("inspect", str(build))["jobs"][0]
        if job["state"] == "building":
            return build, job
        time.sleep(0.05)
    sys.exit(f"bench: build {build} does not begin")


def kill(farm, context, workers, number):
    build, job = begin(farm, context, number)
    victim = next(worker for worker in workers if worker.name == job["worker"])
    other = next(worker for worker in workers if worker is not victim)
    other.mark()
    start_ms = time.time() * 1000
    victim.end(signal.SIGKILL)
    took_ms = other.await_line(f"job {job['id']}, attempt 2") - start_ms
    farm.farmctl("cancel", str(build))
    victim.start()
    return took_ms


def reset(farm, context, workers, number):
    """The kernel resets the connection, to both ends, as a firewall does that has forgotten it."""
    build, job = begin(farm, context, number)
    victim = next(worker for worker in workers if worker.name == job["worker"])
    port = re.search(r"control = \"?tcp://[^:]*:(\d+)", re.sub(r"\s+", " ", open(victim.conf, encoding="utf-8").read())).group(1)
    victim.mark()
    start_ms = time.time() * 1000
    listed = subprocess.run(["ss", "-tnpH", "dport", "=", f":{port}"],
                            check=True, capture_output=True, text=True).stdout
    own = next(line.split()[3] for line in listed.splitlines() if f"pid={victim.process.pid}," in line)
    subprocess.run(["ss", "-K", "src", own, "dport", "=", f":{port}"], check=True, capture_output=True)
    took_ms = victim.await_line("takes this worker as") - start_ms
    time.sleep(0.5)
    attempts = len(farm.farmctl("inspect", str(build))["jobs"][0]["attempts"])
    farm.farmctl("cancel", str(build))
    return took_ms, attempts - 1


def say(name, times):
    times = sorted(times)
    print(f"{name:48} {len(times):5} {times[len(times) // 2]:8.0f} {times[-1]:8.0f}", flush=True)


def forgive(farm):
    """A worker that dies again and again would be quarantined."""
    with open(f"{farm.farm}/coordinator.conf", "a", encoding="utf-8") as file:
        file.write("worker\n    quarantine-ms = 0\n")
    farm.devfarm("stop", "coordinator")
    farm.devfarm("start", "coordinator")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with Devfarm() as farm:
        forgive(farm)
        workers = [Worker(farm, "one"), Worker(farm, "two")]
        context = farm.context("slow", SLOW)
        print(f"{'ms, load ' + ' '.join(map(str, os.getloadavg())):48} {'n':>5} {'median':>8} {'most':>8}")
        try:
            say("worker killed, until another has its job", [kill(farm, context, workers, i) for i in range(count)])
            resets = [reset(farm, context, workers, count + i) for i in range(count)]
            say("connection reset, until the worker is back", [took_ms for took_ms, _ in resets])
            print(f"{'attempts lost by that':48} {sum(lost for _, lost in resets):5}")
        finally:
            for worker in workers:
                worker.end(signal.SIGINT)


main()
