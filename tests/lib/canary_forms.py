"""canary_forms.py - in which forms a secret may stand in bytes, and a search for all of them that reads a stream once, in bounded memory.

    Needles (canaries)              of a dictionary, name to bytes
    Search (needles, found)         feed (data)…, end (); found (name, form) is called for each, once or more often

A secret is searched as it is, as base64 (both alphabets, at each of the three places in a group, lines broken or not, also of its hex, JSON or base64), hex (either case, bytes apart or not),
Z85 (where its size allows that), percent-encoded, escaped as in JSON and quoted as in mail. What is packed with gzip, zlib (as git packs) or zstd is unpacked wherever it begins,
and what is packed in there too: a layer in a registry, an object in a segment of a depot, a tar in either."""
import base64
import binascii
import ctypes
import ctypes.util
import json
import re
import zlib

CHUNK = 1 << 20
SIZE_MIN, SIZE_MAX = 12, 1 << 16    # of a secret: less is found by chance
UNPACKED_MAX = 1 << 30              # of one stream
DEPTH_MAX = 4                       # streams in streams
AT_ONCE = 64                        # streams that are unpacked beside each other

Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
WORDS = re.compile(rb"[\t\n\r\x20-\x7e]{%d,}" % SIZE_MIN)
LINE_END = re.compile(rb"[\t\n\r]+ *")
BASE64 = re.compile(rb"[A-Za-z0-9+/]{15,}")        # as long as the shortest form
HEX = re.compile(rb"[0-9a-f]{%d,}" % (2 * SIZE_MIN))
ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")
ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|([\"\\/bfnrt]))")
SHORT = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
SURROGATES = re.compile(rb"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
# gzip with deflate and no reserved flag (RFC 1952); zlib with a window of 32 KiB (RFC 1950); zstd (RFC 8878)
BEGINS = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]|\x78[\x01\x5e\x9c\xda]|\x28\xb5\x2f\xfd")


# -- forms -----------------------------------------------------------------------------------------------------------------


def base64_forms(data):
    """What is the same wherever in a text the secret begins, in the one alphabet: the characters that have none of their bits from what stands beside."""
    forms = set()
    for before in range(3):
        text = base64.b64encode(bytes(before) + data).rstrip(b"=")
        text = text[(before * 8 + 5) // 6:(before + len(data)) * 8 // 6]
        forms.add(text)
    return forms


def z85_form(data):
    text = bytearray()
    for at in range(0, len(data), 4):
        value = int.from_bytes(data[at:at + 4], "big")
        text += bytes(Z85[value // 85 ** power % 85] for power in (4, 3, 2, 1, 0))
    return bytes(text)


def written(data):
    """As it stands in a text that is then put into base64 as a whole: a join string, an account in docker's config.json, a token"""
    return {data.hex().encode(), json.dumps(data.decode("latin-1"))[1:-1].encode()} - {data} | base64_forms(data)


class Needles:
    def __init__(self, canaries):
        for name, data in canaries.items():
            if not SIZE_MIN <= len(data) <= SIZE_MAX:
                raise ValueError(f"the secret {name} has {len(data)} bytes: {SIZE_MIN} to {SIZE_MAX} can be searched")
        self.plain = list(canaries.items())
        self.raw = [(name, data) for name, data in self.plain if not WORDS.fullmatch(data)]     # the others stand in words alone
        self.base64 = [(name, form) for name, data in self.plain for form in base64_forms(data)]
        self.twice = [(name, form) for name, data in self.plain for once in written(data) for form in base64_forms(once)]
        self.hex = [(name, data.hex().encode()) for name, data in self.plain]
        self.z85 = [(name, z85_form(data)) for name, data in self.plain if len(data) % 4 == 0]
        # The longest forms have six characters for a byte, and some between them
        self.overlap = 10 * max((len(data) for _, data in self.plain), default=0) + 64


# -- ways in which a text is written ---------------------------------------------------------------------------------------


def from_json(text):
    def pair(match):
        return chr(0x10000 + ((int(match[1], 16) & 0x3ff) << 10) + (int(match[2], 16) & 0x3ff)).encode()

    def one(match):
        return chr(int(match[1], 16)).encode("utf-8", "surrogatepass") if match[1] else SHORT.get(match[2], match[2])
    return ESCAPE.sub(one, SURROGATES.sub(pair, text))


def from_percent(text):
    return PERCENT.sub(lambda match: bytes([int(match[1], 16)]), text)


def readings(text):
    """The text as it is, and as what it may stand for."""
    yield "", text
    if b"\\" in text:
        yield "JSON-escaped", from_json(text)
    if b"%" in text:
        yield "percent-encoded", from_percent(text)
        yield "percent-encoded", from_percent(text.replace(b"+", b" "))
    if b"=" in text:
        yield "quoted-printable", binascii.a2b_qp(text)


def search_chunk(needles, data, found):
    told = set()                # what stands there in one reading stands there in others too

    def look(reading, form, where, list_of):
        for name, needle in list_of:
            if (name, form) not in told and needle in where:
                told.add((name, form))
                found(name, ", ".join(filter(None, (reading, form))) or "as it is")
    look("", "", data, needles.raw)
    words = b"\0".join(WORDS.findall(data))
    for reading, text in readings(words):
        look(reading, "", text, needles.plain)
        runs = b"\0".join(BASE64.findall(LINE_END.sub(b"", text).translate(ONE_ALPHABET)))
        look(reading, "base64", runs, needles.base64)
        look(reading, "base64 of another form", runs, needles.twice)
        digits = text.translate(None, b"\r\n\t ,:").lower().replace(b"\\x", b"").replace(b"0x", b"")
        look(reading, "hex", b"\0".join(HEX.findall(digits)), needles.hex)
        look(reading, "Z85", text, needles.z85)


# -- what is packed --------------------------------------------------------------------------------------------------------


class Buffer(ctypes.Structure):
    """Both of zstd's: where, its size, and how far it has come"""
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("at", ctypes.c_size_t)]


def zstd_load():
    library = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    library.ZSTD_createDCtx.restype = ctypes.c_void_p
    library.ZSTD_freeDCtx.argtypes = [ctypes.c_void_p]
    library.ZSTD_decompressStream.argtypes = [ctypes.c_void_p, ctypes.POINTER(Buffer), ctypes.POINTER(Buffer)]
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    return library


class Zstd:
    library = zstd_load()

    def __init__(self):
        self.context = self.library.ZSTD_createDCtx()
        self.is_at_end = False

    def __del__(self):
        self.library.ZSTD_freeDCtx(self.context)

    def unpack(self, data):
        space = ctypes.create_string_buffer(CHUNK)
        given = Buffer(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), 0)
        while not self.is_at_end:
            taken = Buffer(ctypes.cast(space, ctypes.c_void_p), CHUNK, 0)
            left = self.library.ZSTD_decompressStream(self.context, ctypes.byref(taken), ctypes.byref(given))
            if self.library.ZSTD_isError(left):
                raise ValueError("no zstd")
            yield space.raw[:taken.at]
            self.is_at_end = left == 0
            if given.at == given.size and taken.at < CHUNK:
                return


class Deflate:
    """gzip, or zlib"""

    def __init__(self, window):
        self.stream = zlib.decompressobj(window)

    @property
    def is_at_end(self):
        return self.stream.eof

    def unpack(self, data):
        while not self.stream.eof:
            piece = self.stream.decompress(data, CHUNK)
            yield piece
            data = self.stream.unconsumed_tail
            if not data and len(piece) < CHUNK:
                return


class Unpacking:
    """A stream that begins somewhere, as far as it is one"""

    def __init__(self, mark, needles, found, depth):
        self.kind = {b"\x1f": "gzip", b"\x78": "zlib", b"\x28": "zstd"}[mark[:1]]
        self.stream = {"gzip": lambda: Deflate(31), "zlib": lambda: Deflate(15), "zstd": Zstd}[self.kind]()
        self.inner = Search(needles, lambda name, form: found(name, f"{self.kind}, {form}"), depth)
        self.size = 0

    def goes_on(self, data):
        try:
            for piece in self.stream.unpack(data):
                self.size += len(piece)
                self.inner.feed(piece)
                if self.size > UNPACKED_MAX:
                    raise OverflowError(f"{self.kind}: more than {UNPACKED_MAX} bytes come out of it")
            return not self.stream.is_at_end
        except (ValueError, zlib.error):
            return False


class Search:
    def __init__(self, needles, found, depth=0):
        self.needles, self.found, self.depth = needles, found, depth
        self.kept = b""             # the end of what came, for what goes on in the next
        self.fresh = b""            # what is to be searched
        self.streams = []
        self.size = 0

    def feed(self, data):
        self.size += len(data)
        self.fresh += data
        if len(self.fresh) >= CHUNK:
            self.work()

    def end(self):
        self.work()
        self.end_streams(self.streams)
        self.streams = []

    @staticmethod
    def end_streams(streams):
        for stream in streams:
            stream.inner.end()

    def work(self):
        data, fresh, self.fresh = self.kept + self.fresh, self.fresh, b""
        search_chunk(self.needles, data, self.found)
        if self.depth < DEPTH_MAX:
            self.unpack(data, fresh)
        self.kept = data[-self.needles.overlap:]

    def unpack(self, data, fresh):
        ended = [stream for stream in self.streams if not stream.goes_on(fresh)]
        self.end_streams(ended)
        self.streams = [stream for stream in self.streams if stream not in ended]
        known = len(data) - len(fresh)
        for mark in BEGINS.finditer(data, max(0, known - 3)):
            if mark.end() <= known:                     # looked at with the piece before
                continue
            stream = Unpacking(mark[0], self.needles, self.found, self.depth + 1)
            first = mark.start() + 256                  # most are none, and soon known as such
            if stream.goes_on(data[mark.start():first]) and stream.goes_on(data[first:]):
                self.streams.append(stream)
            else:
                stream.inner.end()
        if len(self.streams) > AT_ONCE:
            raise OverflowError(f"more than {AT_ONCE} packed streams beside each other")
