#!/usr/bin/env python3
"""Contexts that are small to send and too large to write out, for tests/hostile/messages.txt: prints NAME=VALUE for each, a pack of its
objects and the digest of its root (docs/objects.md has the forms)."""
import hashlib
import struct

CONTENT, FOLDER = 0, 2
OBJECT_MAX = 256 * 1024


def digest(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def record(kind, data, zipped=None):
    """One object of a pack, as it is or in these bytes of zstd."""
    stored = data if zipped is None else zipped
    return struct.pack(">BBII", kind, zipped is not None, len(data), len(stored)) + digest(data) + stored


def entry(kind, name, data):
    return kind + struct.pack(">HqIB", 0o755, 0, 0, len(name)) + name + struct.pack(">QB", len(data), 0) + digest(data)


def listing(kind, data, names):
    return b"".join(entry(kind, name, data) for name in names)


def show(name, pack, folder):
    root = entry(b"d", b".", folder)
    print(f"{name}PACK={(pack + record(FOLDER, root)).hex()}")
    print(f"{name}ROOT={digest(root).hex()}")


def grow(name, data, pack, names, levels):
    """The folder of this one file under these names, then levels of folders, each naming the one before so often."""
    pack, kind = record(CONTENT, data, pack), b"f"
    for width in [names] + levels * [b"ab"]:
        data = listing(kind, data, [width[i:i + 1] for i in range(len(width))])
        pack, kind = pack + record(FOLDER, data), b"d"
    show(name, pack, data)


def zeros_in_zstd():
    """256 KiB of zeros: a frame of its size alone, and two blocks that repeat a byte."""
    return bytes.fromhex("28b52ffd a0 00000400 020010 00 030010 00".replace(" ", ""))


grow("MANY", b"x", None, b"ab", 20)
grow("HUGE", bytes(OBJECT_MAX), zeros_in_zstd(), b"abcdefgh", 16)
folder, deep = b"", record(FOLDER, b"")
for _ in range(129):
    folder = listing(b"d", folder, [b"a"])
    deep += record(FOLDER, folder)
show("DEEP", deep, folder)
