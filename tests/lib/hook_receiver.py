"""hook_receiver.py FOLDER CERTIFICATE - receives webhooks over TLS, on a free port of 127.0.0.1 that it writes into FOLDER/port.

Each call is FOLDER/call-N: a JSON object with path, headers and body. What it answers is for the path, up to a ?, to say:

    /ok         200                                 /busy       503, until there is FOLDER/fine
    /redirect   302 to /ok                          /hang       takes the call and says nothing more
    /lie        200, and then bytes without end     /gone       410
    /headers    headers without end                 /nonsense   no HTTP
"""
import http.server
import json
import os
import ssl
import sys
import threading

folder, certificate = sys.argv[1:]
lock = threading.Lock()
count = 0


def keep(call):
    global count
    with lock:
        count += 1
        name = os.path.join(folder, f"call-{count}")
    with open(name + ".new", "w", encoding="utf-8") as file:
        json.dump(call, file)
    os.rename(name + ".new", name)


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        keep({"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}, "body": body})
        getattr(self, "on_" + self.path.strip("/").partition("?")[0], self.on_ok)()

    def do_GET(self):
        keep({"path": self.path, "headers": {}, "body": "GET"})
        self.on_ok()

    def answer(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def on_ok(self):
        self.answer(200)

    def on_busy(self):
        self.answer(200 if os.path.exists(os.path.join(folder, "fine")) else 503)

    def on_gone(self):
        self.answer(410)

    def on_redirect(self):
        self.answer(302, Location="/ok")

    def on_hang(self):
        threading.Event().wait(3600)

    def on_lie(self):
        self.wfile.write(b"HTTP/1.1 200 fine\r\nContent-Length: 9999999999999\r\n\r\n")
        while True:
            self.wfile.write(b"x" * 65536)

    def on_headers(self):
        self.wfile.write(b"HTTP/1.1 200 fine\r\n")
        while True:
            self.wfile.write(b"X-More: " + b"x" * 4000 + b"\r\n")

    def on_nonsense(self):
        self.wfile.write(b"\0\1\2 this is no HTTP\r\n\r\n")
        self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self):
        connection, address = super().get_request()
        return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, client_address):
        print("ended:", sys.exc_info()[1], file=sys.stderr)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
with Server(("127.0.0.1", 0), Receiver) as server:
    with open(os.path.join(folder, "port.new"), "w", encoding="utf-8") as port:
        port.write(str(server.server_address[1]))
    os.rename(os.path.join(folder, "port.new"), os.path.join(folder, "port"))
    server.serve_forever()
