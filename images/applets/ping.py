"""ping, as busybox has it: ICMP echo, where the Pod has a network of its own and may send it."""

import os
import select
import signal
import socket
import struct
import sys
import time

from network import plain_address
from web_client import complain

USAGE = "Usage: ping [-c COUNT] [-i SEC] [-W SEC] [-w SEC] [-s SIZE] [-q] HOST\nk8slab's own, IPv4 only."


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo(identity, number, size):
    """An echo request; its first eight bytes of data are the moment it was made."""
    data = struct.pack(">d", time.monotonic()) + b"\0" * max(0, size - 8)
    head = struct.pack(">BBHHH", 8, 0, 0, identity, number)
    return struct.pack(">BBHHH", 8, 0, checksum(head + data), identity, number) + data


def options(words):
    """Numbers by letter, and the host."""
    found, hosts, words = {"c": 0, "i": 1.0, "W": 10.0, "w": 0.0, "s": 56}, [], list(words)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            hosts.append(word)
        elif word in ("-q", "-4", "-n"):
            found["q"] = word == "-q" or found.get("q", False)
        elif word[1:2] in found and (word[2:] or words):
            found[word[1]] = type(found[word[1]])(word[2:] or words.pop(0))
        else:
            raise ValueError(f"invalid option {word}\n{USAGE}")
    if len(hosts) != 1:
        raise ValueError(f"a host is needed\n{USAGE}")
    return found, hosts[0]


def main(words):
    """Ping until -c, -w or a signal ends it."""
    if plain_address():
        complain(
            "ping",
            "refused: at the plain level of isolation Pods have no network of their own, and 10.x addresses "
            "exist by name only. Try `nc -zv HOST PORT` or wget.",
        )
        return 1
    try:
        chosen, host = options(words)
        address = socket.gethostbyname(host)
    except ValueError as error:
        complain("ping", error)
        return 1
    except OSError:
        complain("ping", f"bad address '{host}'")
        return 1
    try:
        line = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        complain("ping", "permission denied (are you root?): this container may not send ICMP")
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    print(f"PING {host} ({address}): {chosen['s']} data bytes", flush=True)
    times, sent = [], 0
    try:
        sent = _exchange(line, address, chosen, times)
    except KeyboardInterrupt:
        sent = chosen.get("sent", 0)
    except OSError as error:
        complain("ping", f"sendto: {error.strerror}")
    sent = sent or chosen.get("sent", 0)
    lost = 100 * (sent - len(times)) // sent if sent else 100
    print(f"\n--- {host} ping statistics ---")
    print(f"{sent} packets transmitted, {len(times)} packets received, {lost}% packet loss")
    if times:
        print(f"round-trip min/avg/max = {min(times):.3f}/{sum(times) / len(times):.3f}/{max(times):.3f} ms")
    sys.stdout.flush()
    return 0 if times else 1


def _exchange(line, address, chosen, times):
    identity, began, sent, due = os.getpid() & 0xFFFF, time.monotonic(), 0, time.monotonic()
    while True:
        now = time.monotonic()
        all_sent = 0 < chosen["c"] <= sent
        over = chosen["w"] and now - began >= chosen["w"]
        if over or (all_sent and (len(times) >= sent or now > due + chosen["W"])):
            return sent
        if not all_sent and now >= due:
            line.sendto(echo(identity, sent & 0xFFFF, chosen["s"]), (address, 0))
            sent += 1
            chosen["sent"] = sent
            due = now if 0 < chosen["c"] <= sent else now + chosen["i"]
        ends = due + chosen["W"] if 0 < chosen["c"] <= sent else due
        if not select.select([line], [], [], max(0.0, min(ends - time.monotonic(), 1.0)))[0]:
            continue
        data, peer = line.recvfrom(65535)
        start = (data[0] & 15) * 4
        kind, _, _, found, number = struct.unpack_from(">BBHHH", data, start)
        if kind == 0 and found == identity:
            took = (time.monotonic() - struct.unpack_from(">d", data, start + 8)[0]) * 1000
            times.append(took)
            if not chosen.get("q"):
                size = len(data) - start
                print(
                    f"{size} bytes from {peer[0]}: seq={number} ttl={data[8]} time={took:.3f} ms", flush=True
                )
