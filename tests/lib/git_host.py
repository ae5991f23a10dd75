#!/usr/bin/env python3
"""A host of git repositories, for tests: git's own http-backend and daemon, behind sockets of our own on free ports.

    git_host.py FOLDER [CERTIFICATE...]

It serves the bare repositories below FOLDER and the files below FOLDER/files. It prints the ports for http, git and, with each certificate (a file with its
key), https on standard output, and ends when its standard input does. What it was asked for over http stands in FOLDER/asked.log, and in
FOLDER/answered.log what git answered: the path, and how many bytes. Over http these differ from the rest:

    /private/…      wants user ann, with the password in FOLDER/password, s3 without that file
    /moved/…        sends to the same without /moved
    /broken/…       answers 503 as long as FOLDER/broken is there
    /slow/…         gives no answer at all"""
import base64
import os
import socket
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


def ann(folder):
    """What she sends"""
    password = b"s3"
    if os.path.exists(os.path.join(folder, "password")):
        with open(os.path.join(folder, "password"), "rb") as file:
            password = file.read()
    return "Basic " + base64.b64encode(b"ann:" + password).decode()


class Handler(BaseHTTPRequestHandler):
    folder = ""
    never = threading.Event()

    def log_message(self, *_):
        pass

    def say(self, status, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, path):
        with open(path, "rb") as file:
            data = file.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while True:
            size = int(self.rfile.readline(), 16)
            data += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return data

    def backend(self, path, query):
        environment = {"GIT_PROJECT_ROOT": self.folder, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_ADDR": "127.0.0.1", "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "PATH": os.environ["PATH"], "GIT_CONFIG_COUNT": "1",
                       "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        answer = subprocess.run(["git", "http-backend"], input=self.body(), env=environment, capture_output=True, check=False).stdout
        head, _, data = answer.partition(b"\r\n\r\n")
        with open(os.path.join(self.folder, "answered.log"), "a", encoding="utf-8") as log:
            log.write(f"{path} {len(data)}\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = [int(value.split()[0]) for name, value in lines if name == "Status"]
        self.send_response(status[0] if status else 200)
        for name, value in lines:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        split = urlsplit(self.path)
        path = split.path
        with open(os.path.join(self.folder, "asked.log"), "a", encoding="utf-8") as log:
            log.write(f"{self.command} {self.path}\n")
        if path.startswith("/private/") and self.headers.get("Authorization") != ann(self.folder):
            return self.say(401, [("WWW-Authenticate", 'Basic realm="git"')])
        if path.startswith("/moved/"):
            return self.say(301, [("Location", self.path[len("/moved"):])])
        if path.startswith("/broken/") and os.path.exists(os.path.join(self.folder, "broken")):
            return self.say(503)
        if path.startswith("/slow/"):
            return self.never.wait()
        if path.startswith("/files/"):
            file = os.path.join(self.folder, path[1:])
            return self.send_file(file) if os.path.isfile(file) else self.say(404)
        for name in ("/private", "/broken"):
            path = path[len(name):] if path.startswith(name + "/") else path
        return self.backend(path, split.query)

    do_POST = do_GET


class TlsServer(ThreadingHTTPServer):
    def __init__(self, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        super().__init__(("127.0.0.1", 0), Handler)

    def get_request(self):
        connection, address = super().get_request()
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, client_address):
        print("ended:", sys.exc_info()[1], file=sys.stderr)


def serve_git(listener, folder):
    while True:
        connection, _ = listener.accept()
        subprocess.Popen(["git", "-c", "safe.directory=*", "daemon", "--inetd", "--export-all", f"--base-path={folder}"], stdin=connection, stdout=connection,
                         stderr=subprocess.DEVNULL)
        connection.close()


def main():
    folder = os.path.realpath(sys.argv[1])
    Handler.folder = folder
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler)] + [TlsServer(certificate) for certificate in sys.argv[2:]]
    listener = socket.create_server(("127.0.0.1", 0))
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=serve_git, args=(listener, folder), daemon=True).start()
    ports = [server.server_port for server in servers]
    print(ports[0], listener.getsockname()[1], *ports[1:], flush=True)
    sys.stdin.read()
    os._exit(0)


main()
