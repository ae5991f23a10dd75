"""A development farm for the benches: contrib/devfarm in a temporary folder, and builds on it."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

TOP, BUILD = os.environ["top_srcdir"], os.environ["top_builddir"]
FARMCTL = os.path.join(BUILD, "farmctl/farmctl")
# A Dockerfile that reaches all of its context, and copies nothing of it
REACHES_ALL = "FROM %BASE%\nRUN --mount=type=bind,target=/context true\n"
ARCHITECTURES = {"x86_64": ("linux/amd64", "linux/arm64"), "aarch64": ("linux/arm64", "linux/amd64")}


class Devfarm:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="archfarm-bench.")
        self.farm = os.path.join(self.folder, "farm")
        self.native, self.foreign = ARCHITECTURES[os.uname().machine]
        kept = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "archfarm")
        self.environment = dict(os.environ, FARM_BUILD=BUILD, FARM_CACHE=os.environ.get("FARM_CACHE") or kept,
                                XDG_CACHE_HOME=os.path.join(self.folder, "cache"))

    def __enter__(self):
        self.devfarm("up")
        text = subprocess.run(["bash", "-c", '. "$0" && echo "$REGISTRY" && echo "$FARM_CONFIG" && echo "$PATH"', f"{self.farm}/env"],
                              check=True, capture_output=True, text=True, env=self.environment).stdout
        self.registry, self.environment["FARM_CONFIG"], self.environment["PATH"] = text.splitlines()
        return self

    def __exit__(self, *_):
        self.devfarm("down")
        shutil.rmtree(self.folder, ignore_errors=True)

    def devfarm(self, verb, *words):
        # its own cache holds the base image
        done = subprocess.run([os.path.join(TOP, "contrib/devfarm"), verb, self.farm, *words], check=False, capture_output=True, text=True,
                              env=dict(os.environ, FARM_BUILD=BUILD))
        if done.returncode:
            sys.exit(f"bench: devfarm {verb}: {done.stderr}")

    def pid(self, name):
        with open(f"{self.farm}/{name}.pid", encoding="utf-8") as file:
            return int(file.read())

    def has_foreign(self):
        return os.path.exists(f"{self.farm}/worker-{self.foreign[6:]}.pid")

    def context(self, name, dockerfile):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "Dockerfile"), "w", encoding="utf-8") as file:
            file.write(dockerfile.replace("%BASE%", f"{self.registry}/base:latest"))
        return folder

    def farmctl(self, *words):
        done = subprocess.run([FARMCTL, *words, "--json"], env=self.environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"bench: farmctl {' '.join(words)}: {done.stderr}")
        return json.loads(done.stdout)

    def submit_command(self, context, platforms, *options):
        return [FARMCTL, "submit", "--platform", ",".join(platforms), "--emulation", "allow", "-t", f"{self.registry}/bench:1",
                *options, context]

    def submit(self, context, platforms, *options):
        return self.farmctl(*self.submit_command(context, platforms, *options)[1:])


def parts_of(build, wall_ms):
    job = max(build["jobs"], key=lambda job: job["attempts"][-1]["ended_ms"])
    attempt = job["attempts"][-1]
    return {
        "all": wall_ms, "builder": attempt["builder_ms"],
        "farmctl": wall_ms - (build["ended_ms"] - build["created_ms"]),
        "queued": attempt["assigned_ms"] - build["created_ms"],
        "fetching": attempt["building_ms"] - attempt["assigned_ms"],
        "worker": attempt["verifying_ms"] - attempt["building_ms"] - attempt["builder_ms"],
        "(pushing)": attempt["verifying_ms"] - attempt["pushing_ms"],
        "verifying": attempt["ended_ms"] - attempt["verifying_ms"],
        "publishing": build["ended_ms"] - attempt["ended_ms"],
        "overhead": wall_ms - attempt["builder_ms"],
    }
