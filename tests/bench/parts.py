"""What the contexts are sent to, and what stands beside it: a coordinator, an rsync daemon, a git repository."""
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

from frame import TOP, begin, end, peak_of, timed, wait_for

FARMCTL, COORDINATOR, REGISTER = (os.path.join(TOP, path) for path in
                                  ('farmctl/farmctl', 'coordinator/farm-coordinator', 'tests/bench/register'))


def run_measured(command, environment):
    """Seconds and the peak of resident MB of a command whose output does not matter."""
    start = time.monotonic()
    pid = os.posix_spawnp(command[0], command, environment, file_actions=[(os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    seconds = time.monotonic() - start
    if status:
        sys.exit(f'bench: {" ".join(command)} failed')
    return seconds, usage.ru_maxrss / 1024


class Relay:
    """Passes one port's connections on to another, and counts their bytes in both directions."""

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


class Relays:
    """One for each socket of the coordinator that a farmctl.conf names."""

    def __init__(self, conf):
        self.all, self.options = [], []
        with open(conf, encoding='utf-8') as file:
            text = file.read()
        for name in ('control', 'objects'):
            relay = Relay(int(re.search(name + r' = "tcp://[^"]*:(\d+)"', text)[1]))
            self.all.append(relay)
            self.options.append(f'--coordinator-{name}=tcp://127.0.0.1:{relay.port}')

    def close(self):
        """Returns the bytes that have passed."""
        for relay in self.all:
            relay.listener.close()
        return sum(relay.bytes for relay in self.all)


class Farm:
    """A coordinator with an empty depot, and for each platform a worker that never comes. inside: what to put before a command."""

    def __init__(self, folder, platforms=('linux/amd64',), address='127.0.0.1', inside=()):
        self.platforms = platforms
        self.state, self.cache = os.path.join(folder, 'state'), os.path.join(folder, 'cache')
        for old in (self.state, self.cache):
            shutil.rmtree(old, ignore_errors=True)
        os.makedirs(self.state, 0o700)
        self.conf = os.path.join(self.state, 'admin.conf')
        self.process = begin([*inside, COORDINATOR, f'--state={self.state}', f'--control-bind=tcp://{address}:*',
                              f'--objects-bind=tcp://{address}:*', '--http-bind=off', '--log-level=warn', '--join-standing=yes'])
        wait_for(lambda: os.path.exists(self.conf), 'the coordinator')
        for number, platform in enumerate(platforms):
            subprocess.run([*inside, REGISTER, os.path.join(self.state, 'join'), f'bench-{number}', platform], check=True)

    def submit(self, context, *options, inside=()):
        """Seconds and the peak of resident MB of farmctl."""
        return run_measured([*inside, FARMCTL, 'submit', '--detach', '-q', '--platform', ','.join(self.platforms), '-t',
                             'registry.invalid/bench:1', f'--cache-folder={self.cache}', *options, context],
                            dict(os.environ, FARM_CONFIG=self.conf))

    def wire(self, context):
        """Bytes of one submit."""
        relays = Relays(self.conf)
        self.submit(context, *relays.options)
        return relays.close()

    def peak(self):
        """The coordinator's peak of resident MB."""
        return peak_of(self.process.pid)

    def end(self):
        end(self.process)


class Rsync:
    """A daemon on loopback with one module."""

    def __init__(self, folder):
        self.target = os.path.join(folder, 'rsync')
        conf = os.path.join(folder, 'rsyncd.conf')
        with socket.create_server(('127.0.0.1', 0)) as free:
            self.port = free.getsockname()[1]
        with open(conf, 'w', encoding='utf-8') as out:
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

    def copy(self, tree):
        subprocess.run(['rsync', '-a', tree + '/', f'rsync://127.0.0.1:{self.port}/to/'], check=True)
        os.sync()

    def send(self, tree):
        """Seconds until it is on the disk."""
        return timed(self.copy, tree)

    def end(self):
        end(self.process)


class Git:
    """A repository beside the tree, so that it is no part of the context."""

    def __init__(self, folder, tree):
        self.command = ['git', f'--git-dir={folder}/git', f'--work-tree={tree}', '-c', 'user.name=bench', '-c',
                        'user.email=bench@example.org', '-c', 'core.looseCompression=0', '-c', 'gc.auto=0']
        for words in (['init', '-q'], ['add', '-A'], ['commit', '-q', '-m', 'all']):
            self.run(words)

    def run(self, words):
        subprocess.run(self.command + words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def status(self):
        """Seconds."""
        return timed(self.run, ['status'])
