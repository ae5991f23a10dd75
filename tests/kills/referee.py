"""What has to hold after each point."""
import glob
import hashlib
import io
import os
import re
import subprocess
import tarfile

from farm import processes_of, query
from program import BUILD, Violation, wait_for

ENDS = ("published", "failed", "cancelled")
END_SECONDS = 60


def files_of(layer):
    """The digests of a layer's files below /files"""
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return {member.name[6:]: hashlib.sha256(archive.extractfile(member).read()).hexdigest()
                for member in archive if member.isfile() and member.name.startswith("files/")}


class Ledger:
    """What people know: which builds were acknowledged, and what they asked for last under each tag."""

    def __init__(self):
        self.ends, self.stamps, self.contents, self.digests, self.builds = {}, {}, {}, {}, {}

    def expect(self, tags, stamp, contents):
        for tag in tags:
            self.stamps[tag], self.contents[tag] = stamp, contents

    def acknowledged(self, number, end="published"):
        self.ends[int(number)] = end

    def published(self, tag, digest):
        self.digests[tag] = digest

    def last_published(self, tag):
        return max((number for number, build in self.builds.items() if build["state"] == "published"
                    and any(name.endswith(f"/day/{tag}") for name in build["tags"])), default=None)


class Referee:
    def __init__(self, farm, ledger):
        self.farm, self.ledger, self.seen = farm, ledger, 0
        self.tag_builds = {}            # the newest build that a tag has shown
        farm.on_death = self.look_at_disk

    def judge(self):
        self.farm.settle()
        wait_for(END_SECONDS, self.farm.has_workers, "all workers are online")
        fresh = self.wait_for_ends()
        for build in fresh:
            self.look_at_build(build)
        self.look_at_tags()
        self.look_at_leftovers()
        self.ledger.digests.clear()

    def look_at_leftovers(self):
        """A worker that could not clear up does so at its next start."""
        def tell():
            return f"nothing is left over: {self.left_over()}; the log says {self.farm.read_troubles() if self.farm.running else []}"
        try:
            wait_for(10, self.is_clean, tell)
        except Violation:
            if not self.farm.may_lack:
                raise
            self.farm.gave_up.append("left something over until its next start")
            self.farm.stop()
            self.farm.start()
            wait_for(10, self.is_clean, tell)

    # -- builds ----------------------------------------------------------------------------------------------------------

    def wait_for_ends(self):
        """Those since the last time, each at its end"""
        def all_ended():
            listed = self.farm.ask("ls", "--limit", "50")
            self.fresh = [build for build in listed["builds"] if build["id"] > self.seen] if listed else []
            for build in self.fresh:
                if "/day/cancel:" in build["tags"][0] and build["state"] not in ENDS:
                    self.farm.ask("cancel", str(build["id"]))       # of a farmctl that died before it told its number
            return listed and all(build["state"] in ENDS for build in self.fresh)
        wait_for(END_SECONDS, all_ended, lambda: f"each build is at its end: {[(build['id'], build['state']) for build in self.fresh]}")
        missing = [number for number in self.ledger.ends if number > self.seen and number not in [build["id"] for build in self.fresh]]
        if missing:
            raise Violation(f"acknowledged builds {missing} are lost")
        self.ledger.builds |= {build["id"]: build for build in self.fresh}
        self.seen = max([self.seen, *(build["id"] for build in self.fresh)])
        return self.fresh

    def look_at_build(self, listed):
        build = self.farm.build(listed["id"])
        wanted = "cancelled" if "/day/cancel:" in build["tags"][0] else "published"
        if build["state"] != wanted:
            raise Violation(f"build {build['id']} is {build['state']} ({build['code']}: {build['reason']}) instead of {wanted}")
        if wanted == "published":
            log = self.farm.ask("logs", str(build["id"]))
            for job in build["jobs"]:
                self.look_at_log(build, job, [line["text"] for line in log["lines"]
                                              if (line["platform"], line["attempt"]) == (job["platform"], job["attempt"])])

    def look_at_log(self, build, job, lines):
        if job["from_build"] is not None:
            return
        parts = (" builds ", ": FROM ", ": COPY ", f"pushed {job['digest']}")
        counts = [sum(part in line for line in lines) for part in parts]
        for part, count in zip(parts, counts):
            if count > 1 or count == 0 and counts.count(0) > self.told_gap(lines):
                raise Violation(f"the log of {build['id']}/{job['platform']} has not one line with \"{part}\": {lines}")

    def told_gap(self, lines):
        """Lines that the log says it lacks: where the disk takes nothing, there is no other way."""
        return sum(int(found[1]) for line in lines if self.farm.may_lack and (found := re.match(r"(\d+) lines are left out here: ", line)))

    # -- tags ------------------------------------------------------------------------------------------------------------

    def look_at_tags(self):
        listed = [f"{name[4:]}:{tag}" for name in self.farm.get("_catalog?n=1000")[0]["repositories"] if name.startswith("day/")
                  for tag in (self.farm.get(f"{name}/tags/list")[0] or {}).get("tags") or []]
        wanted = {tag for tag in self.ledger.stamps if self.ledger.last_published(tag)}
        if set(listed) != wanted:
            raise Violation(f"the registry has the tags {sorted(listed)} instead of {sorted(wanted)}")
        for tag in wanted:
            self.look_at_tag(tag)

    def look_at_tag(self, tag):
        repository, _, name = tag.partition(":")
        number = self.ledger.last_published(tag)
        if self.tag_builds.get(tag) == number:
            return                      # looked at before, and the index compared below is of the newest alone
        index, digest = self.farm.get(f"day/{repository}/manifests/{name}")
        if digest != self.ledger.builds[number]["digest"] or tag in self.ledger.digests and self.ledger.digests[tag] != digest:
            raise Violation(f"{tag} shows {digest}; build {number} published {self.ledger.builds[number]['digest']}, "
                            f"and farmctl said {self.ledger.digests.get(tag)}")
        platforms = [f"{child['platform']['os']}/{child['platform']['architecture']}" for child in index["manifests"]]
        if platforms != self.ledger.builds[number]["platforms"]:
            raise Violation(f"{tag} has {platforms}")
        for child in index["manifests"]:
            self.look_at_image(tag, repository, child["digest"])
        self.tag_builds[tag] = number

    def look_at_image(self, tag, repository, digest):
        manifest, _ = self.farm.get(f"day/{repository}/manifests/{digest}")
        config, _ = self.farm.get(f"day/{repository}/blobs/{manifest['config']['digest']}", accept="*/*")
        stamp = config["config"]["Labels"]["stamp"]
        if stamp != str(self.ledger.stamps[tag]):
            raise Violation(f"{tag} is the image of submit {stamp} instead of {self.ledger.stamps[tag]}")
        found = {}
        for layer in manifest["layers"][1:]:        # the first is the base image's
            data, _ = self.farm.get_bytes(f"day/{repository}/blobs/{layer['digest']}")
            found |= files_of(data)
        if found != self.ledger.contents[tag]:
            raise Violation(f"{tag} has other files than the context: {set(found.items()) ^ set(self.ledger.contents[tag].items())}")

    # -- what is left over -----------------------------------------------------------------------------------------------

    def is_clean(self):
        return not self.left_over()

    def left_over(self):
        """Attempts, containers, what a runtime notes of steps, mounts, processes and temporary files, when nothing is built"""
        state, found = self.farm.state, []
        found += glob.glob(f"{state}/worker-*/attempts/*") + os.listdir(self.farm.scratch)
        found += glob.glob(f"{state}/worker-*/builder/*/own/tmp/*") + glob.glob(f"{state}/worker-*/builder/*/runtime/*")
        for folder in (f"{state}/coordinator", f"{state}/worker-*", f"{state}/worker-*/builder", f"{state}/worker-*/builder/*", f"{state}/worker-*/builder/*/own", f"{state}/worker-*/checkouts/*"):
            found += [path for path in glob.glob(f"{folder}/*") if re.search(r"\.new(-.{6})?$", path)]
        for path in glob.glob(f"{state}/worker-*/builder/*/storage-*/*-containers/containers.json"):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            found += [f"{path}: {text}"] if text.strip() not in ("", "[]") else []
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            found += [line.split()[4] for line in mounts if line.split()[4].startswith(f"{state}/")]
        return found + self.processes()

    def processes(self):
        """With something of the farm on their command line, the daemons apart"""
        daemons = ("farm-worker ", "farm-coordinator ", "docker-registry ")
        return [line for _, line in processes_of(self.farm.state) if not any(name in line for name in daemons)]

    # -- the disk of a program that has ended --------------------------------------------------------------------------------

    def look_at_disk(self, farm):
        if farm.program == "coordinator":
            self.look_at_queue(f"{farm.copy_of('coordinator')}/farm.db")
            self.look_at_depot(farm.copy_of("coordinator/depot"))
        else:
            self.look_at_depot(farm.copy_of(f"{farm.unit()}/cache"))

    def look_at_queue(self, path):
        if not os.path.exists(path):
            return
        for pragma in ("integrity_check", "foreign_key_check"):
            found = query(path, f"PRAGMA {pragma}")
            if found not in ([], [("ok",)]):
                raise Violation(f"farm.db: {pragma}: {found}")
        twice = query(path, "SELECT build FROM events WHERE to_state = 'published' AND job IS NULL GROUP BY build HAVING count (*) > 1")
        again = query(path, "SELECT request FROM builds GROUP BY principal, request HAVING count (*) > 1")
        orphans = query(path, "SELECT job, number FROM attempts JOIN jobs ON jobs.id = job WHERE ended_ms IS NULL"
                              " AND (jobs.state IN ('queued', 'done', 'failed', 'cancelled') OR number <> jobs.attempt)")
        if twice or again or orphans:
            raise Violation(f"farm.db: published twice {twice}, requests twice {again}, attempts without their job {orphans}")

    def look_at_depot(self, folder):
        done = subprocess.run([f"{BUILD}/tests/kills/depot", folder], capture_output=True, text=True)
        if done.returncode:
            raise Violation(f"{os.path.basename(folder)}: {done.stderr}")
