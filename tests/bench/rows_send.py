"""The context's way from farmctl to the coordinator, beside rsync and git.

farmctl submit --detach is timed from its start to its end: the build is accepted then, so its context is on the
coordinator's disk. Bytes on the wire are those of all TCP connections in both directions, counted by a relay in one run more,
which is not timed. Peaks are those of farmctl and of the coordinator."""
import glob
import os
import random
import subprocess

from frame import add_dockerfile, need, row, tree_bytes
from parts import Farm, Git, Rsync


class Peaks:
    """The most of each program over all runs."""

    def __init__(self):
        self.farmctl, self.coordinator = 0, 0

    def submit(self, farm, tree):
        seconds, peak = farm.submit(tree)
        self.farmctl, self.coordinator = max(peak, self.farmctl), max(farm.peak(), self.coordinator)
        return seconds

    def all(self):
        return self.farmctl, self.coordinator


def send_first(bench, work, tree, **targets):
    need('rsync')
    rsync, ours, beside, peaks = Rsync(bench.folder), [], [], Peaks()
    for i in range(bench.runs + 1):
        rsync.empty()
        farm = Farm(bench.folder)
        os.sync()
        if i == bench.runs:
            wire = farm.wire(tree)
        else:
            ours.append(peaks.submit(farm, tree))
            os.sync()
            beside.append(rsync.send(tree))
        farm.end()
    rsync.end()
    bench.add(work, ours, beside, wire, peaks.all(), **targets)


def many(bench):
    return bench.tree('many', 20000, 10000)


@row('first', seconds=60)
def first(bench):
    send_first(bench, 'first send, 20,000 files, 200 MB random (rsync, sync)', many(bench), times=1, ms=1600)


@row('large', seconds=25)
def large(bench):
    send_first(bench, 'first send, 1,000 files, 100 MB random (rsync, sync)', bench.tree('few', 1000, 100000), times=1)


@row('changed', seconds=20)
def changed(bench):
    need('rsync')
    tree, farm, rsync, ours, beside, peaks = many(bench), Farm(bench.folder), Rsync(bench.folder), [], [], Peaks()
    farm.submit(tree)
    rsync.send(tree)
    for i in range(bench.runs + 1):
        with open(f'{tree}/100/{10000 + i:05}', 'wb') as out:
            out.write(random.randbytes(10000))
        os.sync()
        if i == bench.runs:
            wire = farm.wire(tree)
        else:
            ours.append(peaks.submit(farm, tree))
            beside.append(rsync.send(tree))
    farm.end()
    rsync.end()
    bench.add('one 10 KB file of 20,000 changed (rsync, sync)', ours, beside, wire, peaks.all(), times=0.5, ms=80,
              wire_limit=30000)


@row('nothing', seconds=20)
def nothing(bench):
    need('git')
    tree, farm, ours, beside, peaks = many(bench), Farm(bench.folder), [], [], Peaks()
    git = Git(bench.folder, tree)
    farm.submit(tree)
    farm.submit(tree)
    git.status()
    for _ in range(bench.runs):
        ours.append(peaks.submit(farm, tree))
        beside.append(git.status())
    wire = farm.wire(tree)
    farm.end()
    bench.add('nothing of 20,000 files changed (git status)', ours, beside, wire, peaks.all(), times=1.5, ms=60, wire_limit=4000)


@row('middle', seconds=15)
def middle(bench):
    tree, ours, peaks = bench.tree('big', 0, 0), [], Peaks()
    with open(f'{tree}/big', 'wb') as out:
        for i in range(500):
            out.write(random.randbytes(1000000))
    farm = Farm(bench.folder)
    farm.submit(tree)
    for i in range(bench.runs + 1):
        with open(f'{tree}/big', 'r+b') as out:
            out.seek(250000000 + 1000 * i)
            out.write(random.randbytes(1000000))
        if i == bench.runs:
            wire = farm.wire(tree)
        else:
            ours.append(peaks.submit(farm, tree))
    farm.end()
    bench.add('1 MB in the middle of 500 MB changed', ours, wire=wire, peaks=peaks.all(), wire_limit=3000000)


def source_tree(bench):
    """The tree of the package linux-source, or one that was named; None when there is neither."""
    folder = bench.path('source')
    if os.path.exists(folder):
        return folder
    if bench.source:
        subprocess.run(['cp', '-a', bench.source, folder], check=True)
    else:
        archives = sorted(glob.glob('/usr/src/linux-source-*.tar.xz'))
        if not archives:
            bench.note('no source tree: apt-get install linux-source, or name a folder with --source')
            return None
        os.makedirs(folder)
        subprocess.run(['tar', 'xf', archives[-1], '-C', folder, '--strip-components=1'], check=True)
    add_dockerfile(folder)
    return folder


@row('source', seconds=240)
def source(bench):
    tree = source_tree(bench)
    if tree:
        size = tree_bytes(tree)
        send_first(bench, f'first send, source tree of {size // 1000000:,} MB (rsync, sync)', tree, times=0.8,
                   wire_limit=size // 4)
