#!/usr/bin/python3
"""How fast the queue is: the coordinator with 1,000 workers on connections of their own. Prints tables and judges nothing.

    make bench-queue [BENCH="--queued 100,10000 --runs 5 --workers 1000"]

The workers and users are one program (crowd.c) that shares the processors with the coordinator, so the coordinator's own time for a job
is told beside what both together reach. The queue's file is on a disk (TMPDIR), with synchronous = FULL as ever; disk is what a
commit of nothing but one row takes there. A target is met or marked NO.

life       each build ends by its Dockerfile's fault, at once: submit, assign, and reports of fetching, building, pushing and failed,
           each with its answer
published  the same with an image, which is verified and published in a registry of the crowd's own, as fast as that goes
wait       builds that take so long that --rate of them are asked for in a second: from the message that frees a slot, sent, to the
           next job's, received
dies       kill -9 of a worker to its job at another; of the coordinator to its first answer
"""
import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import frame

COORDINATOR = os.path.join(frame.TOP, 'coordinator/farm-coordinator')
CROWD = os.path.join(frame.TOP, 'tests/bench/crowd')
TICKS = os.sysconf('SC_CLK_TCK')
LINE = '{:38} {:>12} {:>12} {:>12}  {:18} {}'


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Coordinator:
    """On a state folder of its own; and a tree, the context of all builds."""
    def __init__(self, folder):
        self.state = os.path.join(folder, 'state')
        self.join = os.path.join(self.state, 'join')
        self.port, self.objects, self.registry = free_port(), free_port(), free_port()
        self.tree = os.path.join(folder, 'tree')
        os.makedirs(self.tree)
        frame.add_dockerfile(self.tree)
        self.log = open(os.path.join(folder, 'log'), 'wb')
        self.start()

    def start(self):
        self.process = frame.begin([COORDINATOR, f'--state={self.state}', f'--control-bind=tcp://127.0.0.1:{self.port}',
                                    f'--objects-bind=tcp://127.0.0.1:{self.objects}', '--http-bind=off', f'--registry-plain-http=127.0.0.1:{self.registry}',
                                    '--queue-limit=1000000', '--join-standing=yes'], stdout=self.log, stderr=self.log)
        frame.wait_for(self.is_listening, 'the coordinator')

    def is_listening(self):
        with socket.socket() as probe:
            return os.path.exists(self.join) and probe.connect_ex(('127.0.0.1', self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()
        frame.running.remove(self.process)

    def threads(self):
        """CPU seconds of its threads, by number."""
        folder = f'/proc/{self.process.pid}/task'
        seconds = {}
        for thread in os.listdir(folder):
            with open(f'{folder}/{thread}/stat', encoding='utf-8') as file:
                fields = file.read().rpartition(')')[2].split()
            seconds[thread] = (int(fields[11]) + int(fields[12])) / TICKS
        return seconds


class Crowd:
    def __init__(self, coordinator, workers, has_registry=True):
        self.process = frame.begin([CROWD, coordinator.join, coordinator.tree,
                                    str(coordinator.registry if has_registry else 0), str(workers)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer('enrolled')

    def answer(self, word):
        words = self.process.stdout.readline().split()
        if not words or words[0] != word:
            sys.exit(f'bench: the crowd says {" ".join(words)!r}, not {word}')
        return [float(value) for value in words[1:]]

    def ask(self, command, word):
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()
        return self.answer(word)

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        frame.running.remove(self.process)


# -- the tables ----------------------------------------------------------------------------------------------------------

def is_met(value, target):
    if not target:
        return ''
    return 'yes' if (value >= -target if target < 0 else value <= target) else 'NO'


def add(work, values, form='{:,.0f}', target=None, unit=''):
    """A line, with a value for each size of the queue. target: at most; less than 0: at least."""
    words = '' if not target else f'{"at least" if target < 0 else "at most"} {abs(target):,g} {unit}'.rstrip()
    print(LINE.format(work, *[form.format(value) for value in values], *[''] * (3 - len(values)), words,
                      ' '.join(is_met(value, target) for value in values)).rstrip(), flush=True)


def disk_ms(folder):
    """A write of one page and its sync."""
    path, times = os.path.join(folder, 'probe'), []
    with open(path, 'wb') as file:
        for _ in range(200):
            start = time.monotonic()
            file.write(b'x' * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - start)
    return statistics.median(times) * 1000


def busy(coordinator, before):
    """CPU seconds since then: of all threads, and of the busiest."""
    used = [seconds - before.get(thread, 0) for thread, seconds in coordinator.threads().items()]
    return sum(used), max(used)


def run(coordinator, crowd, seconds, ms, end):
    before = coordinator.threads()
    took, assigned, accepted, published, p50, p99, most = crowd.ask(f'run {seconds} {ms} {end}', 'ran')
    cpu, busiest = busy(coordinator, before)
    return {'jobs': assigned / took, 'accepted': accepted / took, 'published': published / took, 'p50': p50 / 1000, 'p99': p99 / 1000,
            'max': most / 1000, 'cpu': cpu / assigned * 1e6 if assigned else 0, 'busiest': busiest / assigned * 1e6 if assigned else 0,
            'cpu of published': cpu / published * 1e6 if published else 0}


def medians(results):
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


def measure(folder, queued, arguments):
    """A farm with so many builds queued behind those that the workers have."""
    coordinator = Coordinator(folder)
    crowd = Crowd(coordinator, arguments.workers)
    before = coordinator.threads()
    count = arguments.workers + queued
    seconds = crowd.ask(f'submit {count}', 'accepted')[0]
    found = {'accepted': count / seconds, 'accept cpu': busy(coordinator, before)[0] / count * 1e6}
    crowd.ask(f'await {arguments.workers}', 'assigned')
    run(coordinator, crowd, 1, 0, 'failed')
    found['life'] = medians([run(coordinator, crowd, arguments.seconds, 0, 'failed') for _ in range(arguments.runs)])
    build_ms = arguments.workers * 1000 / arguments.rate
    run(coordinator, crowd, build_ms / 1000, build_ms, 'failed')
    found['wait'] = medians([run(coordinator, crowd, arguments.seconds, build_ms, 'failed') for _ in range(arguments.runs)])
    found['memory'] = frame.peak_of(coordinator.process.pid)
    if arguments.publish:
        run(coordinator, crowd, 2, 0, 'pushed')
        found['published'] = medians([run(coordinator, crowd, arguments.seconds, 0, 'pushed') for _ in range(arguments.runs)])
    crowd.end()
    return coordinator, found


def death_of_worker(folder, arguments):
    """Of one that is a process of its own and has the only job; another, with a free slot, waits. Each time on a farm of its own: what
    the other had would come back when it goes, and take the slot."""
    times = []
    for number in range(arguments.runs):
        coordinator = Coordinator(os.path.join(folder, str(number)))
        first = Crowd(coordinator, 1, has_registry=False)
        first.ask('submit 1', 'accepted')
        job = int(first.ask('await 1', 'assigned')[0])
        other = Crowd(coordinator, 1, has_registry=False)
        first.process.kill()
        killed = time.monotonic()
        times.append(other.ask(f'again {job}', 'again')[0] / 1e6 - killed)
        first.process.wait()
        frame.running.remove(first.process)
        other.end()
        frame.end(coordinator.process)
    return statistics.median(times)


def death_of_coordinator(coordinator, arguments):
    times = []
    for _ in range(arguments.runs):
        coordinator.kill()
        start = time.monotonic()
        coordinator.start()
        subprocess.run([os.path.join(frame.TOP, 'farmctl/farmctl'), 'ls', '--json'], check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, FARM_CONFIG=os.path.join(coordinator.state, 'admin.conf')))
        times.append(time.monotonic() - start)
    return statistics.median(times)


def print_table(sizes, founds, workers):
    print(LINE.format(f'{workers:,} workers; builds queued:', *[f'{size:,}' for size in sizes], *[''] * (3 - len(sizes)), 'target', 'met').rstrip())
    add('builds accepted a second', [found['accepted'] for found in founds])
    add('  coordinator CPU us for each', [found['accept cpu'] for found in founds])
    add('life: jobs a second', [found['life']['jobs'] for found in founds], target=-2000)
    add('  coordinator CPU us for each', [found['life']['cpu'] for found in founds])
    add('  of these its busiest thread', [found['life']['busiest'] for found in founds], target=500)
    add('wait: jobs a second', [found['wait']['jobs'] for found in founds])
    add('  p50 ms', [found['wait']['p50'] for found in founds], '{:.1f}')
    add('  p99 ms', [found['wait']['p99'] for found in founds], '{:.1f}', 20)
    add('  most ms', [found['wait']['max'] for found in founds], '{:.1f}')
    add('coordinator peak MB', [found['memory'] for found in founds], '{:.0f}', 128)
    if 'published' in founds[0]:
        add('published: builds a second', [found['published']['published'] for found in founds])
        add('  coordinator CPU us for each', [found['published']['cpu of published'] for found in founds])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--queued', default='100,10000,100000', help='how many builds, up to three numbers')
    parser.add_argument('--workers', type=int, default=1000)
    parser.add_argument('--runs', type=int, default=3, help='the median of so many')
    parser.add_argument('--seconds', type=float, default=4, help='that each run takes')
    parser.add_argument('--rate', type=float, default=500, help='jobs a second while it is measured how long a free slot waits')
    parser.add_argument('--no-publish', dest='publish', action='store_false')
    parser.add_argument('--no-deaths', dest='deaths', action='store_false')
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    sizes = [int(size) for size in arguments.queued.split(',')]
    with tempfile.TemporaryDirectory(prefix='archfarm-bench.') as folder:
        try:
            print(f'disk: {disk_ms(folder):.2f} ms for one page and its sync')
            founds = []
            for size in sizes:
                os.makedirs(os.path.join(folder, str(size)))
                coordinator, found = measure(os.path.join(folder, str(size)), size, arguments)
                founds.append(found)
                if arguments.deaths:
                    found['death'] = death_of_coordinator(coordinator, arguments)
                frame.end(coordinator.process)
            print_table(sizes, founds, arguments.workers)
            if arguments.deaths:
                add('coordinator dies: s to an answer', [found['death'] for found in founds], '{:.2f}', 1)
                add('worker dies: s to its job elsewhere', [death_of_worker(os.path.join(folder, 'deaths'), arguments)], '{:.2f}')
        finally:
            for process in list(frame.running):
                frame.end(process)


main()
