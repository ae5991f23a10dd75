#!/usr/bin/env python3
"""mail_sink.py FOLDER - takes mail of anybody on a free port of 127.0.0.1 that it writes into FOLDER/port, and keeps each as FOLDER/N.eml. For trying things out."""
import os
import socketserver
import sys

folder = sys.argv[1]
answers = {"HELO": "250 mail-sink", "EHLO": "250 mail-sink", "MAIL": "250 ok", "RCPT": "250 ok", "RSET": "250 ok", "NOOP": "250 ok", "DATA": "354 end with a dot",
           "QUIT": "221 bye"}


class Session(socketserver.StreamRequestHandler):
    count = 0

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self):
        self.say("220 mail-sink")
        for line in self.rfile:
            verb = line[:4].decode("ascii", "replace").upper()
            self.say(answers.get(verb, "502 what?"))
            if verb == "QUIT":
                return
            if verb == "DATA":
                self.keep()
                self.say("250 taken")

    def keep(self):
        Session.count += 1
        name = os.path.join(folder, f"{Session.count}.eml")
        with open(name + ".new", "wb") as file:
            for line in self.rfile:
                if line == b".\r\n":
                    break
                file.write(line[1:] if line.startswith(b".") else line)
        os.rename(name + ".new", name)


with socketserver.TCPServer(("127.0.0.1", 0), Session) as server:
    with open(os.path.join(folder, "port.new"), "w", encoding="utf-8") as file:
        file.write(str(server.server_address[1]))
    os.rename(os.path.join(folder, "port.new"), os.path.join(folder, "port"))
    server.serve_forever()
