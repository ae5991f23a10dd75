"""The whole farm, on a development farm with a registry of its own and a worker for each of two platforms, one of them emulated.

farmctl submit is timed from its start to its end: the build is published then. Beside it stand two times buildah bud and push of the
same context, one for each platform and both at once, each with a store of its own in which everything is cached. Time outside of
the builder is the whole less what buildah took (build and push) for the job that ended last. Peaks are those of the coordinator
and of the native worker, which take in all that the farm has done; in the row of 10 GB that of farmctl stands before them."""
import os
import random
import subprocess
import time

from devfarm import REACHES_ALL, Devfarm, parts_of
from frame import need, peak_of, row, timed
from parts import run_measured

DOCKERFILE = 'FROM %BASE%\nCOPY stamp /stamp\nRUN true\n'


def write_stamp(context):
    with open(os.path.join(context, 'stamp'), 'w', encoding='utf-8') as file:
        file.write(f'{time.time_ns()}\n')


def on_farm(run):
    """A row that gets a farm of its own, and is left out where one of the two platforms cannot be built."""
    def run_on_farm(bench):
        for program in ('docker-registry', 'buildah', 'skopeo', 'jq'):
            need(program)
        with Devfarm() as farm:
            if farm.has_foreign():
                run(bench, farm)
            else:
                bench.note(f'no rows of the whole farm: {farm.foreign} cannot be emulated here')
    return run_on_farm


def peaks_of(farm):
    return [peak_of(farm.pid(name)) for name in ('coordinator', f'worker-{farm.native[6:]}')]


class Buildah:
    """A store for each platform, in the farm's folder: whatever is mounted there in the end, devfarm unmounts."""

    def __init__(self, farm, context):
        self.commands = []
        for platform in (farm.native, farm.foreign):
            name = platform[6:]
            store = f'buildah --root {farm.farm}/buildah-{name}/root --runroot {farm.farm}/buildah-{name}/run'
            image = f'{farm.registry}/beside:{name}'
            self.commands.append(f'{store} bud -q --layers --tls-verify=false --platform {platform} -t {image} {context} && '
                                 f'{store} push -q --tls-verify=false {image}')

    def build(self):
        both = [subprocess.Popen(['sh', '-c', command], stdout=subprocess.DEVNULL) for command in self.commands]
        if any([process.wait() for process in both]):
            raise SystemExit('bench: buildah failed')


@row('farm-nothing', seconds=40)
@on_farm
def farm_nothing(bench, farm):
    context = farm.context('context', DOCKERFILE)
    write_stamp(context)
    buildah, ours, beside = Buildah(farm, context), [], []
    command = farm.submit_command(context, (farm.native, farm.foreign), '-q')
    for run in range(bench.runs + 2):           # the first builds, the second meets cold caches
        seconds = run_measured(command, farm.environment)[0]
        other = timed(buildah.build)
        if run > 1:
            ours.append(seconds)
            beside.append(other)
    bench.add('whole farm, 2 platforms, nothing changed (buildah bud, push)', ours, beside, peaks=peaks_of(farm), times=0.15, ms=30)


@row('farm-changed', seconds=40)
@on_farm
def farm_changed(bench, farm):
    context, outside = farm.context('context', DOCKERFILE), []
    for run in range(bench.runs + 1):
        write_stamp(context)
        start = time.monotonic()
        build = farm.submit(context, (farm.native, farm.foreign))
        wall_ms = (time.monotonic() - start) * 1000
        if run:
            outside.append(parts_of(farm.farmctl('inspect', str(build['id'])), wall_ms)['overhead'] / 1000)
    bench.add('whole farm, 2 platforms, one small file changed: outside buildah', outside, peaks=peaks_of(farm), ms=60)


def fill(context, files):
    """100 MB each, of which nothing repeats or shrinks."""
    for number in range(files):
        with open(os.path.join(context, f'{number:03}'), 'wb') as out:
            for _ in range(100):
                out.write(random.randbytes(1_000_000))


@row('huge', seconds=420, usual=False)
@on_farm
def huge(bench, farm):
    """10 GB pass; 35 GB of disk are taken meanwhile, where TMPDIR is."""
    context = farm.context('context', REACHES_ALL)
    fill(context, 100)
    seconds, peak = run_measured(farm.submit_command(context, (farm.native,), '-q'), farm.environment)
    bench.add('10 GB of random bytes, one platform, first: resident memory', [seconds], peaks=[peak, *peaks_of(farm)], mb=64)
