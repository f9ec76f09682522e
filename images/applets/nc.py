"""nc, as busybox has it: TCP, and with a network of the Pod's own UDP, between standard input and output."""

import os
import select
import socket
import sys

from network import CannotConnect, Failure, connect, listener, plain_address
from web_client import complain

USAGE = """Usage: nc [-nvzu] [-w SEC] HOST PORT[-PORT]
       nc -l [-kvu] -p PORT [-s ADDRESS] [-e PROG ARGS]
k8slab's own, for these options of busybox's."""


def options(words):
    """Flags, values and what is left; after -e everything is the program's."""
    found, left, words = {}, [], list(words)
    while words:
        word = words.pop(0)
        if word == "-e":
            found["e"], words = words, []
            if not found["e"]:
                raise Failure(f"option requires an argument -- 'e'\n{USAGE}")
        elif len(word) > 1 and word[0] == "-":
            letters = word[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                if letter in "pwsi":
                    if not letters and not words:
                        raise Failure(f"option requires an argument -- '{letter}'\n{USAGE}")
                    found[letter], letters = letters or words.pop(0), ""
                elif letter in "lkzvnuqN":
                    found[letter] = True
                else:
                    raise Failure(f"unrecognized option: {letter}\n{USAGE}")
        else:
            left.append(word)
    return found, left


def ports_of(text):
    """The ports of `80` or `80-90`."""
    first, _, last = text.partition("-")
    if (
        not first.isdigit()
        or not (last or first).isdigit()
        or not 0 < int(first) <= int(last or first) < 65536
    ):
        raise Failure(f"bad port '{text}'")
    return range(int(first), int(last or first) + 1)


def copy(connection, wait):
    """Carry both ways until the other side ends; the end of standard input is passed on."""
    sources = [connection, sys.stdin.fileno()]
    while True:
        ready = select.select(sources, [], [], wait)[0]
        if not ready:
            return 1
        if sys.stdin.fileno() in ready:
            data = os.read(sys.stdin.fileno(), 65536)
            if data:
                connection.sendall(data)
            else:
                sources.remove(sys.stdin.fileno())
                if connection.type == socket.SOCK_STREAM:
                    connection.shutdown(socket.SHUT_WR)
        if connection in ready:
            try:
                data = connection.recv(65536)
            except ConnectionError as error:
                raise Failure(error.strerror) from None
            if not data:
                return 0
            os.write(1, data)


def hand_over(connection, program):
    """Have a program talk over the connection."""
    child = os.fork()
    if child:
        connection.close()
        return child
    for number in (0, 1):
        os.dup2(connection.fileno(), number)
    try:
        os.execvp(program[0], program)
    except OSError as error:
        complain("nc", f"can't execute '{program[0]}': {error.strerror}")
        os._exit(127)


def serve(chosen, wait):
    """Accept one connection, or with -k one after the other."""
    if "p" not in chosen:
        raise Failure(f"a listener needs -p PORT\n{USAGE}")
    port = ports_of(chosen["p"])[0]
    if "u" in chosen:
        door = listener(port, chosen.get("s", ""), socket.SOCK_DGRAM)
        # The first who speaks is the one to talk to; the packet itself stays to be read.
        door.connect(door.recvfrom(1, socket.MSG_PEEK)[1])
        return copy(door, wait)
    door = listener(port, chosen.get("s", ""))
    if "v" in chosen:
        complain("nc", f"listening on {chosen.get('s') or '0.0.0.0'}:{port}")
    while True:
        connection, peer = door.accept()
        if "v" in chosen:
            complain("nc", f"connect from {peer[0]}:{peer[1]}")
        if "k" not in chosen:
            door.close()
        if "e" in chosen:
            status = os.waitstatus_to_exitcode(os.waitpid(hand_over(connection, chosen["e"]), 0)[1])
        else:
            with connection:
                status = copy(connection, wait)
        if "k" not in chosen:
            return status


def call(chosen, host, ports, wait):
    """Connect, and talk or only look."""
    status = 1
    for port in ports_of(ports):
        try:
            if "u" in chosen:
                if plain_address():
                    raise Failure(
                        "UDP needs a network of the Pod's own; this node isolates at the plain level"
                    )
                connection, address = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), host
                connection.connect((host, port))
            else:
                connection, address = connect(host, port, wait)
        except CannotConnect as error:
            if "z" not in chosen or "v" in chosen:
                complain("nc", f"{host} ({error.address}:{port}): {error.why}")
            continue
        with connection:
            connection.settimeout(None)
            if "v" in chosen:
                print(f"{host} ({address}:{port}) open", file=sys.stderr)
            status = 0
            if "z" not in chosen:
                return copy(connection, wait)
    return status


def main(words):
    """Listen or connect."""
    try:
        chosen, left = options(words)
        wait = float(chosen["w"]) if "w" in chosen else None
        if "l" in chosen:
            if left and "p" not in chosen:
                chosen["p"] = left[-1]
            return serve(chosen, wait)
        if len(left) != 2:
            raise Failure(f"a host and a port are needed\n{USAGE}")
        return call(chosen, left[0], left[1], wait)
    except (Failure, ValueError) as error:
        complain("nc", error)
    except OSError as error:
        complain("nc", error.strerror or error)
    return 1
