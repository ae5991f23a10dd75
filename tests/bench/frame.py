"""What the rows of bench-context share: the list of rows, the table, processes that end with the bench, trees.

A module of rows holds functions like

    @row('changed', seconds=10)
    def changed(bench):
        ...
        bench.add('one 10 KB file of 20,000 changed', ours, beside, wire=wire, peaks=peaks, times=0.5, ms=80)

seconds is what the row costs on two cores; a row with usual=False runs only when --rows names it. bench.add prints a line:
ours and beside are lists of seconds, times, ms, wire_limit and mb are the row's targets."""
import collections
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP_SOURCE, TOP = os.environ['top_srcdir'], os.environ['top_builddir']
HEAD = ('work', 'ours', 'beside', 'times', 'target', 'met', 'wire', 'peak MB')
LINE = '{:66} {:>9} {:>9} {:>6}  {:22} {:4} {:>13}  {}'

Row = collections.namedtuple('Row', 'run seconds usual')
rows = {}


def row(name, seconds, usual=True):
    def take(run):
        rows[name] = Row(run, seconds, usual)
        return run
    return take


# -- processes ---------------------------------------------------------------------------------------------------------

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


def wait_for(condition, what):
    until = time.monotonic() + 20
    while not condition():
        if time.monotonic() > until:
            sys.exit(f'bench: {what} did not come')
        time.sleep(0.01)


def need(program, package=None):
    if not shutil.which(program):
        sys.exit(f'bench: {program} is missing; on Debian: apt-get install {package or program}')


def timed(function, *arguments):
    """Seconds that a call takes."""
    start = time.monotonic()
    function(*arguments)
    return time.monotonic() - start


def peak_of(pid):
    """The most resident MB that a process has had."""
    with open(f'/proc/{pid}/status', encoding='utf-8') as file:
        return int(next(line for line in file if line.startswith('VmHWM:')).split()[1]) / 1024


# -- trees -------------------------------------------------------------------------------------------------------------

def add_dockerfile(folder):
    with open(f'{folder}/Dockerfile', 'w', encoding='utf-8') as out:
        out.write('FROM scratch\nCOPY . /\n')


def make_tree(folder, count, size):
    """So many files of so many random bytes, 100 to a folder."""
    os.makedirs(folder)
    for i in range(count):
        if i % 100 == 0:
            os.makedirs(f'{folder}/{i // 100:03}')
        with open(f'{folder}/{i // 100:03}/{i:05}', 'wb') as out:
            out.write(random.randbytes(size))
    add_dockerfile(folder)


def tree_bytes(folder):
    return sum(os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk(folder) for name in names)


# -- the table ---------------------------------------------------------------------------------------------------------

def limits(times, ms, wire_limit, mb):
    """The targets in words."""
    words = [f'{times:g}x' if times else '', f'{ms:g} ms' if ms else '', f'{wire_limit / 1000:,.0f} KB' if wire_limit else '',
             f'{mb:g} MB' if mb else '']
    return ', '.join(word for word in words if word)


class Bench:
    def __init__(self, runs, source):
        self.runs, self.source = runs, source
        self.folder = tempfile.mkdtemp(prefix='archfarm-bench.')
        self.notes = []
        print(LINE.format(*HEAD), flush=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def tree(self, name, count, size):
        """One of make_tree that several rows share."""
        if not os.path.exists(self.path(name)):
            make_tree(self.path(name), count, size)
        return self.path(name)

    def add(self, work, ours, beside=(), wire=None, peaks=(), times=None, ms=None, wire_limit=None, mb=None):
        """A line. What is measured and has no target is printed only."""
        ours = statistics.median(ours) * 1000 if ours else None
        beside = statistics.median(beside) * 1000 if beside else None
        ratio = ours / beside if ours and beside else None
        pairs = [(ratio, times), (ours, ms), (wire, wire_limit), (max(peaks, default=None), mb)]
        pairs = [(value, limit) for value, limit in pairs if limit is not None]
        met = '' if not pairs else 'yes' if all(value is not None and value <= limit for value, limit in pairs) else 'NO'
        print(LINE.format(work, '' if ours is None else f'{ours:,.0f} ms', '' if beside is None else f'{beside:,.0f} ms',
                          '' if ratio is None else f'{ratio:.2f}', limits(times, ms, wire_limit, mb), met,
                          '' if wire is None else f'{wire:,}', ' '.join(f'{peak:.0f}' for peak in peaks)).rstrip(), flush=True)

    def note(self, text):
        """A line below the table."""
        self.notes.append(text)

    def close(self):
        for process in list(running):
            end(process)
        shutil.rmtree(self.folder, ignore_errors=True)
