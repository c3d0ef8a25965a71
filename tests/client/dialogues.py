"""Pieces of dialogues that tests of both colours share."""

from tests.peers import ScriptedServer

TO = "b@y.example"
FROM = "a@x.example"
BODY = b"Subject: hi\r\n\r\n.dot\r\n"
START = "S: 220 ready\nC: EHLO me\nS: 250-x\nS: 250-PIPELINING\nS: 250 SIZE 1000\n"
LOCK = "S: 220 ready\nC: EHLO me\nS: 250 x\n"
QUIT = "C: QUIT\nS: 221 bye\n"
BODY_WIRE = "C: Subject: hi\nC:\nC: ..dot\nC: .\n"
ENVELOPE = f"C: MAIL FROM:<{FROM}> SIZE=21\nC: RCPT TO:<{TO}>\nC: DATA\n"
MESSAGE = f"{ENVELOPE}S: 250 m\nS: 250 r\nS: 354 go\n{BODY_WIRE}S: 250 done\n"


def url(server: ScriptedServer, scheme: str = "smtp") -> str:
    return f"{scheme}://localhost:{server.port}?hello_name=me"


LOCK_MESSAGE = f"""
    {START}
    C: MAIL FROM:<{FROM}> SIZE=21
    S: 250 m
    C: RCPT TO:<{TO}>
    S: 250 r
    C: DATA
    S: 354 go
    {BODY_WIRE}
    S: 250 done
    {QUIT}
"""
