"""The context's way from the coordinator to a builder, beside cp.

Times are taken by the program bench/worker, which has the worker's own parts, from the first step to the last: without the
start of a process, but with the record that the next checkout needs. The cache is warm: what a row reads was just read or
written. cp -a copies the same tree on the same disk, also from memory. Nothing is removed before a row's end: a disk that is
still busy giving back the blocks of one run slows down the next."""
import os
import random
import shutil
import subprocess
import threading

from frame import TOP, begin, row, running, timed
from parts import Farm

WORKER = os.path.join(TOP, 'tests/bench/worker')


def worker(*words):
    return subprocess.run([WORKER, *words], check=True, capture_output=True, text=True).stdout.split()


def remove(*paths):
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
    os.sync()


def copy(tree, target):
    subprocess.run(['cp', '-a', tree, target], check=True)


@row('checkout', seconds=40)
def checkout(bench):
    tree, depot, ours, beside, made = bench.tree('many', 20000, 10000), bench.path('cache'), [], [], []
    root = worker('fill', depot, tree)[0]
    for i in range(bench.runs + 1):
        made += [bench.path(f'out{i}'), bench.path(f'copied{i}')]
        os.sync()
        ms = float(worker('write', depot, root, made[-2])[0])
        os.sync()
        seconds = timed(copy, tree, made[-1])
        if i > 0:               # the first ones find the disk as it is
            ours.append(ms / 1000)
            beside.append(seconds)
    remove(*made)
    bench.add('checkout of 20,000 files, 200 MB, warm cache (cp -a)', ours, beside, times=1.2)


@row('checkout-changed', seconds=15)
def checkout_changed(bench):
    tree, depot, out, ours = bench.tree('many', 20000, 10000), bench.path('cache'), bench.path('out'), []
    worker('write', depot, worker('fill', depot, tree)[0], out)
    os.sync()
    for i in range(bench.runs):
        with open(f'{tree}/150/{15000 + i:05}', 'wb') as file:
            file.write(random.randbytes(10000))
        ms, written = worker('write', depot, worker('fill', depot, tree)[0], out)
        if written != '1':
            raise SystemExit(f'bench: {written} files were written where one had changed')
        ours.append(float(ms) / 1000)
    remove(out)
    bench.add('the same with one file changed', ours, ms=50)


# -- two workers -------------------------------------------------------------------------------------------------------

def fetch_at_once(farm, tree, root, folders):
    """Seconds from the start until the last of the workers with these folders has checked out. Each has a build of its own."""
    processes = []
    for folder in folders:
        os.makedirs(folder)
        farm.submit(tree, '--require', f'name={os.path.basename(folder)}')
        process = begin([WORKER, 'fetch', os.path.join(farm.state, 'join'), os.path.basename(folder), root, folder],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if process.stdout.readline() != 'ready\n':
            raise SystemExit('bench: a worker could not join')
        processes.append(process)
    times = []

    def run(process):
        times.append(float(process.communicate('\n')[0]) / 1000)
    threads = [threading.Thread(target=run, args=(process,)) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        running.remove(process)
    return max(times)


@row('two-workers', seconds=60)
def two_workers(bench):
    tree, farm, one, two, made = bench.tree('many', 20000, 10000), Farm(bench.folder), [], [], []
    farm.submit(tree)
    root = worker('fill', bench.path('scratch'), tree)[0]
    for i in range(bench.runs + 1):
        folders = [bench.path(f'fetched{i}-{name}') for name in 'abc']
        made += folders
        os.sync()
        times = [fetch_at_once(farm, tree, root, folders[:1])]
        os.sync()
        times.append(fetch_at_once(farm, tree, root, folders[1:]))
        if i > 0:
            one.append(times[0])
            two.append(times[1])
    farm.end()
    remove(*made, bench.path('scratch'))
    bench.add('coordinator to two workers, first, to checked out (one worker)', two, one, times=1.3)
    bench.note(f'two workers: they and the coordinator share the {os.cpu_count()} cores and the disk of this machine, as boards do not')
