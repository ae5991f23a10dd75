"""A laptop on a line of 20 Mbit/s sends a context for two platforms, beside a tar of it that is sent to each of two nodes.

Laptop and coordinator are network namespaces, joined by a pair of veth with tc tbf at both ends. Bytes on the wire are those
that the laptop's end has counted in both directions, with all headers. What would take minutes is computed from a tar's size
and the rate that a transfer of 5 MB had; the table's work says so."""
import os
import shutil
import subprocess
import time

from frame import add_dockerfile, begin, end, need, row, tree_bytes
from parts import Farm
from rows_send import source_tree

MBIT, OFFICE, LAPTOP = 20, '192.0.2.1', '192.0.2.2'
SINK = """
import socket
server = socket.create_server(('%s', 0))
print(server.getsockname()[1], flush=True)
while True:
    size, peer = 0, server.accept()[0]
    while data := peer.recv(1 << 20):
        size += len(data)
    print(size, flush=True)
""" % OFFICE


class Namespace:
    """A network of its own, which goes with the process that holds it."""

    def __init__(self):
        self.holder = begin(['unshare', '--net', 'sh', '-c', 'ip link set lo up; echo; exec sleep infinity'], stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.inside = ['nsenter', '--net', '--target', str(self.holder.pid), '--']

    def run(self, *command):
        subprocess.run([*self.inside, *command], check=True)

    def counted(self, device):
        """Bytes received and sent."""
        with open(f'/proc/{self.holder.pid}/net/dev', encoding='utf-8') as file:
            words = next(line for line in file if line.strip().startswith(device + ':')).split(':')[1].split()
        return int(words[0]) + int(words[8])

    def end(self):
        end(self.holder)


class Line:
    def __init__(self):
        self.office, self.laptop = Namespace(), Namespace()
        subprocess.run(['ip', 'link', 'add', 'office', 'netns', str(self.office.holder.pid), 'type', 'veth', 'peer', 'name', 'laptop',
                        'netns', str(self.laptop.holder.pid)], check=True)
        for side, device, address in ((self.office, 'office', OFFICE), (self.laptop, 'laptop', LAPTOP)):
            side.run('ip', 'address', 'add', f'{address}/24', 'dev', device)
            side.run('ip', 'link', 'set', device, 'up')
            side.run('tc', 'qdisc', 'add', 'dev', device, 'root', 'tbf', 'rate', f'{MBIT}mbit', 'burst', '32kb', 'latency', '100ms')
        self.sink = begin([*self.office.inside, 'python3', '-c', SINK], stdout=subprocess.PIPE, text=True)
        self.port = int(self.sink.stdout.readline())

    def counted(self):
        return self.laptop.counted('laptop')

    def send(self, command):
        """Seconds until the other end has all that a command writes."""
        start = time.monotonic()
        self.laptop.run('bash', '-c', f'{command} > /dev/tcp/{OFFICE}/{self.port}')
        self.sink.stdout.readline()
        return time.monotonic() - start

    def rate(self):
        """Bytes a second."""
        return 5_000_000 / self.send('head -c 5000000 /dev/zero')

    def end(self):
        end(self.sink)
        self.laptop.end()
        self.office.end()


def can_run(bench):
    for program, package in (('tc', 'iproute2'), ('nsenter', 'util-linux')):
        need(program, package)
    if os.geteuid() == 0:
        return True
    bench.note('no rows of a slow line: they need root, for network namespaces')
    return False


def send(bench, line, tree):
    """Seconds, bytes on the wire and the peaks of farmctl and coordinator of a first send."""
    farm = Farm(bench.folder, ('linux/amd64', 'linux/arm64'), OFFICE, line.office.inside)
    before = line.counted()
    seconds, peak = farm.submit(tree, inside=line.laptop.inside)
    wire = line.counted() - before
    peaks = peak, farm.peak()
    farm.end()
    return seconds, wire, peaks


def tar_size(tree):
    with subprocess.Popen(['tar', '-C', tree, '-cf', '-', '.'], stdout=subprocess.PIPE) as process:
        return sum(len(data) for data in iter(lambda: process.stdout.read(1 << 20), b''))


@row('line', seconds=60)
def line_random(bench):
    if not can_run(bench):
        return
    tree, line = bench.tree('line', 1000, 10000), Line()
    ours, beside = [], []
    for _ in range(min(bench.runs, 3)):
        seconds, wire, peaks = send(bench, line, tree)
        ours.append(seconds)
        before = line.counted()
        beside.append(sum(line.send(f'tar -C {tree} -cf - .') for _ in range(2)))
        theirs = line.counted() - before
    line.end()
    bench.add(f'{MBIT} Mbit/s, 1,000 files, 10 MB random (tar, twice)', ours, beside, wire, peaks, times=0.5,
              wire_limit=theirs // 2)


def line_source(bench, tree, work):
    line = Line()
    beside = 2 * tar_size(tree)
    seconds, wire, peaks = send(bench, line, tree)
    rate = line.rate()
    line.end()
    bench.add(work, [seconds], [beside / rate], wire, peaks, times=0.15, wire_limit=beside * 15 // 100)


def copy_every_tenth(tree, part):
    files = sorted(os.path.join(at, name) for at, _, names in os.walk(tree) for name in names)
    for path in files[::10]:
        target = part + path[len(tree):]
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    add_dockerfile(part)


@row('line-source', seconds=60)
def line_tenth(bench):
    """Every tenth file, so that it takes no minutes."""
    tree = can_run(bench) and source_tree(bench)
    if not tree:
        return
    part = bench.path('part')
    copy_every_tenth(tree, part)
    line_source(bench, part, f'{MBIT} Mbit/s, a tenth of a source tree, {tree_bytes(part) // 1000000} MB (tar, twice: computed)')


@row('line-whole', seconds=300, usual=False)
def line_whole(bench):
    tree = can_run(bench) and source_tree(bench)
    if tree:
        line_source(bench, tree, f'{MBIT} Mbit/s, source tree of {tree_bytes(tree) // 1000000:,} MB (tar, twice: computed)')
