#!/usr/bin/env python3
"""A disk that takes names which differ by case alone for one, and keeps the one under which something was made; for tests.

    folding_disk.py FOLDER

It is mounted on FOLDER when the program comes back, without which it fails, and is gone with all that was on it when FOLDER is unmounted.
It speaks FUSE (linux/fuse.h), as much of it as a checkout needs: kernels that fold case themselves are rare."""
import ctypes
import errno
import os
import stat
import struct
import sys
import time

ROOT, WRITE_MAX = 1, 128 * 1024
ATTRIBUTES = "<QQQQQQIIIIIIIIII"
HAS_MODE, HAS_SIZE, HAS_MTIME, IS_MTIME_NOW = 1, 8, 32, 256


class Node:
    def __init__(self, number, mode):
        self.number, self.mode = number, mode
        self.data = bytearray()         # of a file; a link's target
        self.names = {}                 # of a folder: folded name to name and node
        self.mtime = self.ctime = time.time_ns()

    def attributes(self):
        parts = [divmod(ns, 10**9) for ns in (self.mtime, self.mtime, self.ctime)]
        return struct.pack(ATTRIBUTES, self.number, len(self.data), (len(self.data) + 511) // 512, *(part[0] for part in parts),
                           *(part[1] for part in parts), self.mode, 1, os.geteuid(), os.getegid(), 0, 4096, 0)


class Disk:
    def __init__(self):
        self.nodes = {ROOT: Node(ROOT, stat.S_IFDIR | 0o755)}

    @staticmethod
    def entry(node):
        return struct.pack("<QQQQII", node.number, 0, 0, 0, 0, 0) + node.attributes()      # nothing is to be kept by the kernel

    @staticmethod
    def find(folder, name):
        if name.lower() not in folder.names:
            raise OSError(errno.ENOENT, "")
        return folder.names[name.lower()][1]

    def make(self, folder, name, mode):
        if name.lower() in folder.names:
            raise OSError(errno.EEXIST, "")
        node = Node(len(self.nodes) + 1, mode)
        self.nodes[node.number] = node
        folder.names[name.lower()] = (name, node)
        folder.mtime = folder.ctime = time.time_ns()
        return node

    def remove(self, folder, name):
        if self.find(folder, name).names:
            raise OSError(errno.ENOTEMPTY, "")
        del folder.names[name.lower()]      # the node stays: it may be open
        folder.mtime = folder.ctime = time.time_ns()

    # One function for each message, by its number there: node and the bytes behind the header to the answer.

    def lookup(self, node, body):
        return self.entry(self.find(node, body[:-1]))

    def getattr(self, node, _body):
        return struct.pack("<QII", 0, 0, 0) + node.attributes()

    def setattr(self, node, body):
        valid, _, _, size, _, _, mtime, _, _, mtime_ns, _, mode = struct.unpack_from("<IIQQQQQQIIII", body)
        if valid & HAS_MODE:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        if valid & HAS_SIZE:
            node.data = node.data[:size].ljust(size, b"\0")
        if valid & HAS_MTIME:
            node.mtime = time.time_ns() if valid & IS_MTIME_NOW else mtime * 10**9 + mtime_ns
        node.ctime = time.time_ns()
        return self.getattr(node, body)

    def readlink(self, node, _body):
        return bytes(node.data)

    def symlink(self, node, body):
        name, target = body.split(b"\0")[:2]
        link = self.make(node, name, stat.S_IFLNK | 0o777)
        link.data += target
        return self.entry(link)

    def mknod(self, node, body):
        return self.entry(self.make(node, body[16:-1], struct.unpack_from("<I", body)[0]))

    def mkdir(self, node, body):
        return self.entry(self.make(node, body[8:-1], stat.S_IFDIR | struct.unpack_from("<I", body)[0]))

    def unlink(self, node, body):
        self.remove(node, body[:-1])
        return b""

    def open(self, _node, _body):
        return bytes(16)

    def release(self, _node, _body):
        return b""

    def read(self, node, body):
        offset, size = struct.unpack_from("<QI", body, 8)
        return bytes(node.data[offset:offset + size])

    def write(self, node, body):
        offset, size = struct.unpack_from("<QI", body, 8)
        node.data.extend(bytes(max(0, offset + size - len(node.data))))
        node.data[offset:offset + size] = body[40:40 + size]
        node.mtime = node.ctime = time.time_ns()
        return struct.pack("<II", size, 0)

    def statfs(self, _node, _body):
        return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0)

    def readdir(self, node, body):
        offset, size = struct.unpack_from("<QI", body, 8)
        answer = b""
        names = [(b".", node), (b"..", node), *node.names.values()]
        for at, (name, item) in list(enumerate(names))[offset:]:
            line = struct.pack("<QQII", item.number, at + 1, len(name), stat.S_IFMT(item.mode) >> 12) + name
            line += bytes(-len(line) % 8)
            if len(answer) + len(line) > size:
                break
            answer += line
        return answer

    def init(self, _node, _body):
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, WRITE_MAX, 0, 0, 0, WRITE_MAX, 1, 0, 0, 0)

    CALLS = {1: lookup, 3: getattr, 4: setattr, 5: readlink, 6: symlink, 8: mknod, 9: mkdir, 10: unlink, 11: unlink, 14: open, 15: read, 16: write,
             17: statfs, 18: release, 26: init, 27: open, 28: readdir, 29: release}
    UNANSWERED = {2, 36, 42}        # forget, interrupt, forget many

    def answer(self, message):
        _, call, unique, number = struct.unpack_from("<IIQQ", message)
        if call in self.UNANSWERED:
            return None
        error, body = 0, b""
        try:
            if call not in self.CALLS:
                raise OSError(errno.ENOSYS, "")
            body = self.CALLS[call](self, self.nodes.get(number), message[40:])
        except OSError as failure:
            error = failure.errno
        return struct.pack("<IiQ", 16 + len(body), -error, unique) + body


def serve(device):
    disk = Disk()
    while True:
        try:
            message = os.read(device, WRITE_MAX + 4096)
            answer = disk.answer(message)
            if answer:
                os.write(device, answer)
        except OSError as failure:
            if failure.errno == errno.ENODEV:       # unmounted
                return
            if failure.errno not in (errno.ENOENT, errno.EINTR):        # who asked has gone
                raise


def main():
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40755,user_id={os.geteuid()},group_id={os.getegid()}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"folding", os.fsencode(sys.argv[1]), b"fuse.folding", 0, options.encode()) < 0:
        sys.exit("mount: " + os.strerror(ctypes.get_errno()))
    if os.fork() == 0:
        nothing = os.open("/dev/null", os.O_RDWR)
        for number in range(3):
            os.dup2(nothing, number)
        os.setsid()
        serve(device)


main()
