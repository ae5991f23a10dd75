#!/usr/bin/env python3
"""connect_proxy.py FOLDER NAME PORT - a proxy for TLS, for tests, on a free port of 127.0.0.1 that it writes into FOLDER/port.

It knows one name, for which it connects to PORT of 127.0.0.1. What it was asked for stands in FOLDER/asked, a line each."""
import os
import select
import socket
import socketserver
import sys

folder, name, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


class Proxy(socketserver.StreamRequestHandler):
    rbufsize = 0

    def handle(self):
        verb, target, _ = self.rfile.readline(4096).decode("ascii", "replace").split(" ", 2)
        while self.rfile.readline(4096).strip():
            pass
        with open(os.path.join(folder, "asked"), "a", encoding="utf-8") as log:
            log.write(f"{verb} {target}\n")
        if verb != "CONNECT" or target.rpartition(":")[0] != name:
            self.wfile.write(b"HTTP/1.1 502 I know no such name\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", port)) as other:
            self.wfile.write(b"HTTP/1.1 200 go on\r\n\r\n")
            self.pass_on({self.connection: other, other: self.connection})

    @staticmethod
    def pass_on(pairs):
        while True:
            for source in select.select(list(pairs), [], [])[0]:
                data = source.recv(65536)
                if not data:
                    return
                pairs[source].sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Server(("127.0.0.1", 0), Proxy) as server:
    with open(os.path.join(folder, "port.new"), "w", encoding="utf-8") as file:
        file.write(str(server.server_address[1]))
    os.rename(os.path.join(folder, "port.new"), os.path.join(folder, "port"))
    server.serve_forever()
