#!/usr/bin/python3
"""How fast a context is sent, beside rsync and git: prints a table and judges nothing.

    make bench-context [BENCH="--runs 5 --rows first,changed --source FOLDER"]

Each row is measured in turns with what stands beside it, so that both meet the same machine. farmctl submit --detach is
timed from its start to its end: the build is accepted then, so its context is on the coordinator's disk. Bytes on the
wire are those of all TCP connections in both directions, counted by a relay in one run more, which is not timed."""
import argparse, glob, os, random, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time

TOP = os.environ['top_builddir']
FARMCTL, COORDINATOR, REGISTER = (os.path.join(TOP, p) for p in
                                  ('farmctl/farmctl', 'coordinator/farm-coordinator', 'tests/bench/register'))


def wait_for(condition, what):
    until = time.monotonic() + 20
    while not condition():
        if time.monotonic() > until:
            sys.exit(f'bench: {what} did not come')
        time.sleep(0.01)


running = []


def begin(command, **options):
    """A process that is ended with the bench, however that ends."""
    process = subprocess.Popen(command, **options)
    running.append(process)
    return process


def end(process):
    process.terminate()
    process.wait()
    running.remove(process)


class Relay:
    """Passes one port's connections on to another, and counts their bytes."""

    def __init__(self, port):
        self.to, self.bytes = ('127.0.0.1', port), 0
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self.to)
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    def copy(self, a, b):
        try:
            while data := a.recv(1 << 20):
                self.bytes += len(data)
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Farm:
    """A coordinator with an empty depot, and a worker of this platform that never comes."""

    def __init__(self, folder):
        self.state, self.cache = os.path.join(folder, 'state'), os.path.join(folder, 'cache')
        for old in (self.state, self.cache):
            shutil.rmtree(old, ignore_errors=True)
        os.makedirs(self.state, 0o700)
        self.conf = os.path.join(self.state, 'admin.conf')
        self.process = begin([COORDINATOR, f'--state={self.state}', '--control-bind=tcp://127.0.0.1:*',
                              '--objects-bind=tcp://127.0.0.1:*', '--log-level=warn'])
        wait_for(lambda: os.path.exists(self.conf), 'the coordinator')
        subprocess.run([REGISTER, os.path.join(self.state, 'join'), 'bench', 'linux/amd64'], check=True)

    def submit(self, context, *options):
        """Seconds and the peak of resident MB of farmctl."""
        command = [FARMCTL, 'submit', '--detach', '-q', '--platform', 'linux/amd64', '-t', 'registry.invalid/bench:1',
                   f'--cache-folder={self.cache}', *options, context]
        start = time.monotonic()
        pid = os.posix_spawn(FARMCTL, command, dict(os.environ, FARM_CONFIG=self.conf),
                             file_actions=[(os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0)])
        _, status, usage = os.wait4(pid, 0)
        seconds = time.monotonic() - start
        if status:
            sys.exit('bench: farmctl submit failed')
        return seconds, usage.ru_maxrss / 1024

    def wire(self, context):
        """Bytes of one submit."""
        relays, options = [], []
        text = open(self.conf).read()
        for name in ('control', 'objects'):
            relay = Relay(int(re.search(name + r' = "tcp://[^"]*:(\d+)"', text)[1]))
            relays.append(relay)
            options.append(f'--coordinator-{name}=tcp://127.0.0.1:{relay.port}')
        self.submit(context, *options)
        for relay in relays:
            relay.listener.close()
        return sum(relay.bytes for relay in relays)

    def peak(self):
        """The coordinator's peak of resident MB."""
        return int(re.search(r'VmHWM:\s+(\d+)', open(f'/proc/{self.process.pid}/status').read())[1]) / 1024

    def end(self):
        end(self.process)


class Rsync:
    """A daemon on loopback with one module."""

    def __init__(self, folder):
        self.target = os.path.join(folder, 'rsync')
        conf = os.path.join(folder, 'rsyncd.conf')
        with socket.create_server(('127.0.0.1', 0)) as free:
            self.port = free.getsockname()[1]
        with open(conf, 'w') as out:
            out.write(f'use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n[to]\npath = {self.target}\nread only = no\n')
        self.process = begin(['rsync', '--daemon', '--no-detach', '--config', conf, '--port', str(self.port),
                              '--address', '127.0.0.1'], stderr=subprocess.DEVNULL)
        self.empty()
        wait_for(self.answers, 'the rsync daemon')

    def answers(self):
        try:
            socket.create_connection(('127.0.0.1', self.port)).close()
            return True
        except OSError:
            return False

    def empty(self):
        shutil.rmtree(self.target, ignore_errors=True)
        os.makedirs(self.target)
        os.sync()

    def send(self, tree):
        start = time.monotonic()
        subprocess.run(['rsync', '-a', tree + '/', f'rsync://127.0.0.1:{self.port}/to/'], check=True)
        os.sync()
        return time.monotonic() - start

    def end(self):
        end(self.process)


class Git:
    """A repository beside the tree, so that it is no part of the context."""

    def __init__(self, folder, tree):
        self.command = ['git', f'--git-dir={folder}/git', f'--work-tree={tree}', '-c', 'user.name=bench', '-c',
                        'user.email=bench@example.org', '-c', 'core.looseCompression=0']
        for words in (['init', '-q'], ['add', '-A'], ['commit', '-q', '-m', 'all']):
            subprocess.run(self.command + words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def status(self):
        start = time.monotonic()
        subprocess.run(self.command + ['status'], check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - start


def make_tree(folder, count, size):
    os.makedirs(folder)
    for i in range(count):
        if i % 100 == 0:
            os.makedirs(f'{folder}/{i // 100:03}')
        with open(f'{folder}/{i // 100:03}/{i:05}', 'wb') as out:
            out.write(random.randbytes(size))
    with open(f'{folder}/Dockerfile', 'w') as out:
        out.write('FROM scratch\nCOPY . /\n')
    return folder


def unpack_source(folder, source):
    """The tree of the package linux-source, or one that was named."""
    if not source:
        archives = sorted(glob.glob('/usr/src/linux-source-*.tar.xz'))
        if not archives:
            return None
        os.makedirs(folder)
        subprocess.run(['tar', 'xf', archives[-1], '-C', folder, '--strip-components=1'], check=True)
    else:
        subprocess.run(['cp', '-a', source, folder], check=True)
    with open(f'{folder}/Dockerfile', 'w') as out:
        out.write('FROM scratch\nCOPY . /\n')
    return folder


def tree_bytes(folder):
    return sum(os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk(folder) for name in names)


class Bench:
    def __init__(self, folder, arguments):
        self.folder, self.runs, self.rows = folder, arguments.runs, arguments.rows.split(',')
        self.source = arguments.source
        print(f'{"work":44} {"ms":>8} {"beside":>8} {"times":>6} {"wire":>10}  farmctl  coordinator', flush=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def row(self, name, ours, beside, wire, farmctl, coordinator):
        ours, beside = statistics.median(ours) * 1000, statistics.median(beside) * 1000 if beside else None
        columns = f'{beside:8.0f} {ours / beside:6.2f}' if beside else f'{"":15}'
        print(f'{name:44} {ours:8.0f} {columns} {wire:10,}  {farmctl:4.0f} MB  {coordinator:4.0f} MB', flush=True)

    def first(self, name, tree):
        rsync, ours, beside, farmctl, coordinator = Rsync(self.folder), [], [], 0, 0
        for i in range(self.runs + 1):
            rsync.empty()
            farm = Farm(self.folder)
            os.sync()
            if i == self.runs:
                wire = farm.wire(tree)
            else:
                seconds, peak = farm.submit(tree)
                ours.append(seconds)
                farmctl, coordinator = max(peak, farmctl), max(farm.peak(), coordinator)
                os.sync()
                beside.append(rsync.send(tree))
            farm.end()
        rsync.end()
        self.row(name, ours, beside, wire, farmctl, coordinator)

    def changed(self, tree):
        farm, rsync, ours, beside, farmctl = Farm(self.folder), Rsync(self.folder), [], [], 0
        farm.submit(tree)
        rsync.send(tree)
        for i in range(self.runs + 1):
            with open(f'{tree}/100/{10000 + i:05}', 'wb') as out:
                out.write(random.randbytes(10000))
            os.sync()
            if i == self.runs:
                wire = farm.wire(tree)
            else:
                seconds, peak = farm.submit(tree)
                ours.append(seconds)
                farmctl = max(peak, farmctl)
                beside.append(rsync.send(tree))
        self.row('one 10 KB file of 20,000 changed', ours, beside, wire, farmctl, farm.peak())
        farm.end()
        rsync.end()

    def nothing(self, tree):
        farm, git, ours, beside, farmctl = Farm(self.folder), Git(self.folder, tree), [], [], 0
        farm.submit(tree)
        farm.submit(tree)
        git.status()
        for i in range(self.runs):
            seconds, peak = farm.submit(tree)
            ours.append(seconds)
            farmctl = max(peak, farmctl)
            beside.append(git.status())
        self.row('nothing of 20,000 files changed (git status)', ours, beside, farm.wire(tree), farmctl, farm.peak())
        farm.end()

    def middle(self):
        tree, ours, farmctl = make_tree(self.path('big'), 0, 0), [], 0
        with open(f'{tree}/big', 'wb') as out:
            for i in range(500):
                out.write(random.randbytes(1000000))
        farm = Farm(self.folder)
        farm.submit(tree)
        for i in range(self.runs + 1):
            with open(f'{tree}/big', 'r+b') as out:
                out.seek(250000000 + 1000 * i)
                out.write(random.randbytes(1000000))
            if i == self.runs:
                wire = farm.wire(tree)
            else:
                seconds, peak = farm.submit(tree)
                ours.append(seconds)
                farmctl = max(peak, farmctl)
        self.row('1 MB in the middle of 500 MB changed', ours, None, wire, farmctl, farm.peak())
        farm.end()
        shutil.rmtree(tree)

    def run(self):
        if {'first', 'changed', 'nothing'} & set(self.rows):
            tree = make_tree(self.path('many'), 20000, 10000)
            if 'first' in self.rows:
                self.first('first send, 20,000 files, 200 MB random', tree)
            if 'changed' in self.rows:
                self.changed(tree)
            if 'nothing' in self.rows:
                self.nothing(tree)
            shutil.rmtree(tree)
        if 'large' in self.rows:
            tree = make_tree(self.path('few'), 1000, 100000)
            self.first('first send, 1,000 files, 100 MB random', tree)
            shutil.rmtree(tree)
        if 'middle' in self.rows:
            self.middle()
        if 'source' in self.rows:
            tree = unpack_source(self.path('source'), self.source)
            if tree:
                self.first(f'first send, source tree of {tree_bytes(tree) // 1000000:,} MB', tree)
            else:
                print('no source tree: apt-get install linux-source, or name a folder with --source')


def leave(number, _):
    signal.signal(number, signal.SIG_IGN)       # timeout(1) sends it twice
    sys.exit('bench: ended by a signal')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=5, help='the median of so many')
    parser.add_argument('--rows', default='first,large,changed,nothing,middle,source', help='which rows')
    parser.add_argument('--source', help='a source tree; default: that of the package linux-source')
    arguments = parser.parse_args()
    for program in ('rsync', 'git'):
        if not shutil.which(program):
            sys.exit(f'bench: {program} is missing; on Debian: apt-get install {program}')
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    folder = tempfile.mkdtemp(prefix='archfarm-bench.')
    try:
        Bench(folder, arguments).run()
    finally:
        for process in list(running):
            end(process)
        shutil.rmtree(folder, ignore_errors=True)


main()
