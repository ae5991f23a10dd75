#!/usr/bin/env python3
"""A token service for Debian's docker-registry, for tests: signs what its users may do.

    token_service.py FOLDER [SERVER.PEM]

It writes FOLDER/token.crt, which the registry is to trust (rootcertbundle; issuer "tester", service "farm-test"), prints its port on
standard output, and ends when its standard input does. What it was asked for stands in FOLDER/token.log, a scope to a line. With
SERVER.PEM it speaks TLS. ann may do everything, with the password in FOLDER/password (or s3), bob (password b0) only pull. What is in
FOLDER/id is in each token (jti). A token is good for 300 s, or for as many as FOLDER/seconds has then. Each has a name of its own, token-1 and
so on, which stands in the registry's log (auth.user.name), and with the time and the scopes in FOLDER/given.log."""
import base64
import itertools
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

USERS = {"bob:b0": {"pull"}}
LEEWAY = 60             # docker-registry takes a token for so long after its time


def text_of(path, otherwise):
    if not os.path.exists(path):
        return otherwise
    with open(path, encoding="utf-8") as file:
        return file.read()


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def openssl(*arguments, data=b""):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = ""
    certificate = id = ""
    numbers = itertools.count(1)

    def log_message(self, *_):
        pass

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def sign(self, claims):
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self.certificate]}
        text = encode(json.dumps(header).encode()) + b"." + encode(json.dumps(claims).encode())
        signature = openssl("dgst", "-sha256", "-sign", f"{self.folder}/token.key", data=text)
        return (text + b"." + encode(signature)).decode()

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        rights = USERS.get(base64.b64decode(given).decode())
        if rights is None:
            return self.answer(401, {"errors": [{"code": "UNAUTHORIZED"}]})
        access = []
        with open(f"{self.folder}/token.log", "a", encoding="utf-8") as log:
            print("\n".join(query.get("scope", [])), file=log)
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": sorted(rights & set(actions.split(",")))})
        now = int(time.time())
        seconds = int(text_of(f"{self.folder}/seconds", "300"))
        name = f"token-{next(self.numbers)}"
        with open(f"{self.folder}/given.log", "a", encoding="utf-8") as log:
            print(name, now, *query.get("scope", []), file=log)
        claims = {"iss": "tester", "sub": name, "aud": query["service"][0], "exp": now + seconds - LEEWAY, "nbf": now - LEEWAY,
                  "iat": now, "jti": self.id, "access": access}
        self.answer(200, {"token": self.sign(claims), "expires_in": seconds})


def main():
    folder = sys.argv[1]
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=token service",
            "-keyout", f"{folder}/token.key", "-out", f"{folder}/token.crt")
    Handler.folder = folder
    Handler.id = text_of(f"{folder}/id", "1")
    USERS["ann:" + text_of(f"{folder}/password", "s3")] = {"pull", "push"}
    Handler.certificate = base64.b64encode(openssl("x509", "-in", f"{folder}/token.crt", "-outform", "DER")).decode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
