"""mail_server.py FOLDER CERTIFICATE - a mail server for tests, on a free port of 127.0.0.1 that it writes into FOLDER/port.

It speaks SMTP (RFC 5321) with STARTTLS and AUTH PLAIN or LOGIN, and takes mail of whoever has shown the password in FOLDER/password under the name
`farm`, after STARTTLS. Each mail is FOLDER/mail-N, its envelope FOLDER/mail-N.json. FOLDER/mode says what it does instead:

    busy        451 for each recipient      refuse      550 for each recipient
    plain       offers no STARTTLS          hang        says nothing after it was greeted
    forget      takes a mail, keeps it, and hangs up without saying so
    smtps       speaks TLS from the first byte on
"""
import base64
import json
import os
import socketserver
import ssl
import sys
import threading

folder, certificate = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
lock = threading.Lock()
count = 0


def text_of(name):
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def keep(mail, envelope):
    global count
    with lock:
        count += 1
        name = os.path.join(folder, f"mail-{count}")
    with open(name + ".json", "w", encoding="utf-8") as file:
        json.dump(envelope, file)
    with open(name + ".new", "wb") as file:
        file.write(mail)
    os.rename(name + ".new", name)


class Session(socketserver.StreamRequestHandler):
    def setup(self):
        super().setup()
        self.is_tls = False
        if text_of("mode") == "smtps":
            self.begin_tls()
        self.user = ""
        self.sender, self.to = None, []

    def say(self, *lines):
        for at, line in enumerate(lines):
            code, rest = line[:3], line[4:]
            self.wfile.write(f"{code}{' ' if at == len(lines) - 1 else '-'}{rest}\r\n".encode())
        self.wfile.flush()

    def line(self):
        return self.rfile.readline(4096).decode("ascii", "replace").rstrip("\r\n")

    def handle(self):
        self.say("220 test server")
        while True:
            line = self.line()
            if not line:
                return
            verb, _, rest = line.partition(" ")
            act = getattr(self, "on_" + verb.lower(), None)
            if text_of("mode") == "hang":
                threading.Event().wait(3600)
            if not act:
                self.say("502 what?")
            elif act(rest) is False:
                return

    def on_ehlo(self, _rest):
        offers = ["250 test server", "250 8BITMIME"]
        if not self.is_tls and text_of("mode") != "plain":
            offers.append("250 STARTTLS")
        if self.is_tls:
            offers.append("250 AUTH PLAIN LOGIN")
        self.say(*offers)

    def begin_tls(self):
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
        self.is_tls = True

    def on_starttls(self, _rest):
        self.say("220 go on")
        self.begin_tls()

    def on_auth(self, rest):
        kind, _, first = rest.partition(" ")
        if not self.is_tls:
            self.say("538 not without TLS")
            return
        if kind.upper() == "PLAIN":
            if not first:
                self.say("334 ")
                first = self.line()
            _, user, password = base64.b64decode(first).decode().split("\0")
        else:
            user = base64.b64decode(first).decode() if first else self.ask("Username:")
            password = self.ask("Password:")
        if user == "farm" and password == text_of("password"):
            self.user = user
            self.say("235 welcome")
        else:
            self.say("535 no")

    def ask(self, what):
        self.say("334 " + base64.b64encode(what.encode()).decode())
        return base64.b64decode(self.line()).decode()

    def on_mail(self, rest):
        if not self.user:
            self.say("530 who are you?")
            return
        self.sender, self.to = rest, []
        self.say("250 ok")

    def on_rcpt(self, rest):
        mode = text_of("mode")
        if mode in ("busy", "refuse"):
            self.say("451 later" if mode == "busy" else "550 no such mailbox")
            return
        self.to.append(rest)
        self.say("250 ok")

    def on_data(self, _rest):
        if not self.to:
            self.say("503 to whom?")
            return None
        self.say("354 end with a dot")
        lines = []
        while True:
            line = self.rfile.readline(1 << 20)
            if not line:
                return False
            if line == b".\r\n":
                break
            lines.append(line[1:] if line.startswith(b".") else line)
        keep(b"".join(lines), {"from": self.sender, "to": self.to, "tls": self.is_tls, "user": self.user})
        if text_of("mode") == "forget":
            return False
        self.say("250 taken")
        return None

    def on_rset(self, _rest):
        self.sender, self.to = None, []
        self.say("250 ok")

    def on_quit(self, _rest):
        self.say("221 bye")
        return False


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        print("ended:", sys.exc_info()[1], file=sys.stderr)


with Server(("127.0.0.1", 0), Session) as server:
    with open(os.path.join(folder, "port.new"), "w", encoding="utf-8") as port:
        port.write(str(server.server_address[1]))
    os.rename(os.path.join(folder, "port.new"), os.path.join(folder, "port"))
    server.serve_forever()
