#!/usr/bin/env python3
"""A service that answers proposals itself: `participant.py PORT CAPACITY`.

It carries up to CAPACITY requests per second, in all. Nothing but the standard library, so that it shows
what a participant has to do in any language: answer each message that is posted, and the same message the
same way.
"""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CAPACITY = float(sys.argv[2])


def answer(message):
    kind, data = message["type"], message.get("data")
    if kind == "call_for_proposals":
        ask = data["load"]["asks"]["requests_per_second"]
        asked, others = ask["requested"], ask["committed"]
        free = max(CAPACITY - others, 0.0)
        if asked <= free:
            return {"type": "propose", "data": "all"}
        if free <= 0.0:
            return {"type": "refuse", "data": {"reason": f"all {CAPACITY:.0f} are taken"}}
        reason = f"{free:.0f} of {CAPACITY:.0f} are free"
        return {"type": "counter", "data": {"quantities": {"requests_per_second": free}, "reason": reason}}
    if kind == "accept":
        return {"type": "confirm", "data": {}}
    if kind in ("confirm", "release"):
        return {"type": "inform", "data": "received"}
    return None


class Participant(BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        reply = answer(event["data"])
        body = json.dumps(reply).encode() if reply else b""
        print(event["type"], "->", reply and reply["type"], flush=True)
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Participant).serve_forever()
