#!/usr/bin/env python3
"""A registry that does as it is told, for tests: honest by itself, and it can lie.

    fake_registry.py [--script FILE] [--log FILE]

It serves on 127.0.0.1, prints its port on standard output, and ends when its standard input does. Blobs and manifests
live in memory; a blob can be in a repository without having been pushed, by "blobs" of the script.

The script is JSON; PUT /script with another one makes it begin anew, with an empty log:
    {"auth": {"kind": "bearer" | "basic", "user": "u", "password": "p", "expires_in": 300, "realm": "http://…/token",
              "token_name": "access_token", "challenges": ["…"]},
     "blobs": {"team/app": ["text", …]},
     "manifests": {"team/app": {"tag": "text", …}},
     "mounts": false,                       refuse to mount blobs
     "rules": [ … ]}
`user` absent: tokens without a login. `expires_in` absent: none is said. `realm` absent: its own /token. `challenges`: the values
of WWW-Authenticate in place of the one that fits. @HOST in a script is 127.0.0.1:PORT, @OTHER localhost:PORT, the same server by
another name.

A rule is taken for the first `times` requests that match it (absent: for all), before anything honest:
    {"method": "GET", "path": "regex of the path with its query", "authorized": true (only requests that carry Authorization),
     "skip": 1 (let so many pass before), "times": 2,
     "status": 503, "headers": {"Retry-After": "1"} (a list of values: the header repeated), "body": "text",
     "length": 100 (Content-Length, when it is to be a lie; null: none), "chunks": true (the body in chunks, without a length),
     "drip_ms": 100 (so long before each of its headers), "close": true (and then close, without having said so),
     "pause": true (accept, and never answer), "hang_up": true (close without an answer), "raw": "bytes of the whole answer",
     "digest": "what Docker-Content-Digest says beside the honest answer",
     "together": 3 (an honest answer, but only once so many requests wait for one at the same time; after 10 s status 504)}

With --tls PEM, a file with key and certificate, it speaks TLS.

Each request is a line of JSON in the log: {"method", "path", "host", "authorization", "accept", "length", "first": true on a new
connection}."""
import argparse
import base64
import hashlib
import json
import re
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Rule:
    def __init__(self, text):
        self.text = text
        self.skip = text.get("skip", 0)
        self.left = text.get("times")

    def takes(self, method, path, authorization):
        if self.text.get("method", method) != method or not re.search(self.text.get("path", ""), path):
            return False
        if self.text.get("authorized") and not authorization:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.left == 0:
            return False
        if self.left is not None:
            self.left -= 1
        return True


class State:
    def __init__(self, script, log):
        self.lock = threading.Lock()
        self.log = log
        self.auth = script.get("auth")
        self.mounts = script.get("mounts", True)
        self.rules = [Rule(text) for text in script.get("rules", [])]
        self.blobs = {}             # (repository, digest) -> bytes
        self.manifests = {}         # (repository, tag or digest) -> (type, bytes)
        self.uploads = {}
        self.tokens = {}            # token -> scopes
        self.meetings = {}          # a rule's number -> those who wait
        for repository, texts in script.get("blobs", {}).items():
            for text in texts:
                self.blobs[repository, digest_of(text.encode())] = text.encode()
        for repository, tags in script.get("manifests", {}).items():
            for tag, text in tags.items():
                for key in (tag, digest_of(text.encode())):
                    self.manifests[repository, key] = (OCI_MANIFEST, text.encode())

    def note(self, **entry):
        if self.log:
            self.log.write(json.dumps(entry) + "\n")
            self.log.flush()

    def meet(self, rule):
        with self.lock:
            meeting = self.meetings.setdefault(id(rule), threading.Barrier(rule["together"]))
        try:
            meeting.wait(10)
            return True
        except threading.BrokenBarrierError:
            return False

    def rule_for(self, method, path, authorization):
        with self.lock:
            return next((rule.text for rule in self.rules if rule.takes(method, path, authorization)), None)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = None
    is_new = True                   # the connection has had no request

    def log_message(self, *_):
        pass

    # -- answers ----------------------------------------------------------------------------------------------------

    def answer(self, status, body=b"", kind="application/json", length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_headers({**headers, **self.more_headers})
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_headers(self, headers):
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name.replace("_", "-"), one)

    def fail(self, status, code, message="", **headers):
        self.answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), **headers)

    def obey(self, rule):
        if rule.get("pause"):
            while self.rfile.read(1):
                pass
            self.close_connection = True
        elif rule.get("hang_up"):
            self.close_connection = True
        elif "raw" in rule:
            self.wfile.write(rule["raw"].encode("latin-1"))
            self.close_connection = True
        else:
            self.obey_in_parts(rule)

    def obey_in_parts(self, rule):
        body = rule.get("body", "").encode()
        self.send_response(rule["status"])
        headers = {"Content-Type": "application/json", **rule.get("headers", {})}
        if rule.get("chunks"):
            headers["Transfer-Encoding"] = "chunked"
        elif rule.get("length", 0) is not None:
            headers["Content-Length"] = str(rule.get("length", len(body)))
        for name, value in headers.items():
            self.flush_headers()
            time.sleep(rule.get("drip_ms", 0) / 1000)
            self.send_headers({name: value})
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.in_chunks(body) if rule.get("chunks") else body)
        if "length" in rule or rule.get("close"):
            self.close_connection = True

    @staticmethod
    def in_chunks(body):
        parts = [body[at:at + 7] for at in range(0, len(body), 7)]
        return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"

    # -- who asks ---------------------------------------------------------------------------------------------------

    def is_login(self):
        given = self.headers.get("Authorization", "")
        wanted = f"{self.state.auth['user']}:{self.state.auth['password']}".encode()
        return given == "Basic " + base64.b64encode(wanted).decode()

    def give_token(self, query):
        if "user" in self.state.auth and not self.is_login():
            return self.fail(401, "UNAUTHORIZED")
        token = f"token-{len(self.state.tokens)}"
        self.state.tokens[token] = query.get("scope", [])
        document = {self.state.auth.get("token_name", "token"): token}
        if "expires_in" in self.state.auth:
            document["expires_in"] = self.state.auth["expires_in"]
        self.answer(200, json.dumps(document).encode())

    def may_pass(self):
        """Is the token for this repository and action, or the password right?"""
        auth = self.state.auth
        if not auth:
            return True
        here = f"{self.headers.get('Host')}"
        if auth["kind"] == "basic":
            if self.is_login():
                return True
            self.challenge("login, please", 'Basic realm="fake"')
            return False
        given = self.headers.get("Authorization", "")
        scopes = self.state.tokens.get(given.removeprefix("Bearer ")) if given.startswith("Bearer ") else None
        match = re.match(r"/v2/(.+)/(?:manifests|blobs)/", self.path)
        action = "pull" if self.command in ("GET", "HEAD") else "push"
        wanted = f"repository:{match[1]}:" if match else ""
        if scopes is not None and (not match or any(s.startswith(wanted) and action in s for s in scopes)):
            return True
        realm = auth.get("realm", f"http://{here}/token")
        self.challenge("a token, please", f'Bearer realm="{realm}",service="fake, registry",scope="{wanted}{action}"')
        return False

    def challenge(self, message, value):
        self.fail(401, "UNAUTHORIZED", message, WWW_Authenticate=self.state.auth.get("challenges", value))

    # -- the API ----------------------------------------------------------------------------------------------------

    def take_script(self):
        length = int(self.headers.get("Content-Length") or 0)
        log = self.state.log
        log.truncate(0)
        Handler.state = State(read_script(self.rfile.read(length).decode(), self.server.server_port), log)
        self.more_headers = {}
        self.answer(200)

    def serve(self):
        if (self.command, self.path) == ("PUT", "/script"):
            return self.take_script()
        self.more_headers = {}
        length = int(self.headers.get("Content-Length") or 0)
        authorization = self.headers.get("Authorization")
        self.state.note(method=self.command, path=self.path, host=self.headers.get("Host"), authorization=authorization,
                        accept=self.headers.get("Accept"), length=length, first=self.is_new)
        self.is_new = False
        rule = self.state.rule_for(self.command, self.path, authorization)
        if rule and rule.get("pause"):
            return self.obey(rule)
        body = self.rfile.read(length) if length else b""
        if rule and "together" in rule:
            if not self.state.meet(rule):
                return self.fail(504, "ALONE")
        elif rule and "digest" in rule:
            self.more_headers["Docker-Content-Digest"] = rule["digest"]
        elif rule:
            return self.obey(rule)
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if url.path == "/token":
            return self.give_token(query)
        if self.may_pass():
            self.route(url.path, query, body)

    def route(self, path, query, body):
        if path == "/v2/":
            return self.answer(200, b"{}")
        for pattern, act in ((r"/v2/(.+)/manifests/([^/]+)$", self.on_manifest),
                             (r"/v2/(.+)/blobs/uploads/([^/]*)$", self.on_upload),
                             (r"/v2/(.+)/blobs/([^/]+)$", self.on_blob)):
            match = re.match(pattern, path)
            if match:
                return act(match[1], match[2], query, body)
        self.fail(404, "NOT_FOUND")

    def on_manifest(self, repository, name, _query, body):
        kind = self.headers.get("Content-Type", "")
        if self.command == "PUT":
            digest = digest_of(body)
            for key in (name, digest):
                self.state.manifests[repository, key] = (kind, body)
            self.more_headers.setdefault("Docker-Content-Digest", digest)
            return self.answer(201)
        found = self.state.manifests.get((repository, name))
        if not found:
            return self.fail(404, "MANIFEST_UNKNOWN", "manifest unknown")
        self.more_headers.setdefault("Docker-Content-Digest", digest_of(found[1]))
        self.answer(200, found[1], found[0])

    def on_blob(self, repository, digest, _query, _body):
        found = self.state.blobs.get((repository, digest))
        if found is None:
            return self.fail(404, "BLOB_UNKNOWN", "blob unknown to registry")
        self.answer(200, found, "application/octet-stream")

    def on_upload(self, repository, upload, query, body):
        if self.command == "POST":
            digest, source = query.get("mount", [""])[0], query.get("from", [""])[0]
            if self.state.mounts and (source, digest) in self.state.blobs:
                self.state.blobs[repository, digest] = self.state.blobs[source, digest]
                return self.answer(201)
            upload = f"u{len(self.state.uploads)}"
            self.state.uploads[upload] = b""
            return self.answer(202, Location=f"/v2/{repository}/blobs/uploads/{upload}?state=x%2Fy")
        if upload not in self.state.uploads or query.get("state") != ["x/y"]:
            return self.fail(404, "BLOB_UPLOAD_UNKNOWN")
        data = self.state.uploads[upload] + body
        if self.command == "PATCH":
            self.state.uploads[upload] = data
            return self.answer(202, Location=self.path)
        if digest_of(data) != query.get("digest", [""])[0]:
            return self.fail(400, "DIGEST_INVALID")
        self.state.blobs[repository, digest_of(data)] = data
        self.answer(201)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = serve


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):         # a client that hangs up is what tests are about
        pass


def read_script(text, port):
    for name, host in (("@HOST", "127.0.0.1"), ("@OTHER", "localhost")):
        text = text.replace(name, f"{host}:{port}")
    return json.loads(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--script")
    parser.add_argument("--log")
    parser.add_argument("--tls")
    options = parser.parse_args()
    text = "{}"
    if options.script:
        with open(options.script, encoding="utf-8") as file:
            text = file.read()
    log = open(options.log, "a", encoding="utf-8") if options.log else None
    server = Server(("127.0.0.1", 0), Handler)
    Handler.state = State(read_script(text, server.server_port), log)
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
