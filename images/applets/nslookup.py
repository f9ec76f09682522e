"""nslookup, in the form that busybox prints; search domains are tried in order until a name is found."""

import socket
import sys

from dns_query import TYPES, ask
from network import ENV, own_port, plain_address
from web_client import complain

USAGE = """Usage: nslookup [-type=TYPE] [-port=N] [-timeout=SEC] NAME [SERVER]
k8slab's own; TYPE is one of """


def resolver():
    """Name servers, search domains and `ndots` of this Pod's /etc/resolv.conf."""
    servers, search, ndots = [], [], 1
    try:
        with open(ENV.get("K8SLAB_ROOT", "") + "/etc/resolv.conf") as file:
            for line in file:
                words = line.split()
                if words[:1] == ["nameserver"] and len(words) > 1:
                    servers.append(words[1])
                elif words[:1] == ["search"]:
                    search = words[1:]
                elif words[:1] == ["options"]:
                    ndots = next((int(word[6:]) for word in words if word.startswith("ndots:")), ndots)
    except OSError:
        pass
    return servers, search, ndots


def candidates(name, search, ndots):
    """The full names that a name may stand for, in the order in which a resolver tries them."""
    if name.endswith("."):
        return [name.rstrip(".")]
    searched = [f"{name}.{domain}" for domain in search]
    return [name, *searched] if name.count(".") >= ndots else [*searched, name]


def reverse(name):
    """The name under which an address is looked up backwards; empty if it is no IPv4 address."""
    try:
        socket.inet_aton(name)
    except OSError:
        return ""
    return ".".join(reversed(name.split("."))) + ".in-addr.arpa" if name.count(".") == 3 else ""


def twin(server):
    """Where a name server of the cluster listens at the plain level."""
    own = plain_address()
    _, second = own.split(".")[:2] if own else ("", "")
    return f"127.{server.partition('.')[2]}" if own and server.startswith(f"10.{second}.") else server


def main(words):
    """Look a name up."""
    kind, port, timeout, left = "", 53, 5.0, []
    for word in words:
        name, _, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            left.append(word)
        elif name in ("type", "querytype", "q") and value.upper() in TYPES:
            kind = value.upper()
        elif name == "port" and value.isdigit():
            port = int(value)
        elif name == "timeout" and value.isdigit():
            timeout = float(value)
        else:
            complain("nslookup", f"invalid option {word}\n{USAGE}{', '.join(TYPES)}")
            return 1
    if not 0 < len(left) < 3:
        complain("nslookup", f"a name is needed\n{USAGE}{', '.join(TYPES)}")
        return 1
    servers, search, ndots = resolver()
    try:
        server = socket.gethostbyname(left[1]) if len(left) > 1 else next(iter(servers), "")
    except OSError:
        complain("nslookup", f"bad address '{left[1]}'")
        return 1
    if not server:
        complain("nslookup", "/etc/resolv.conf names no server")
        return 1
    backwards = "" if kind not in ("", "PTR") else reverse(left[0])
    kind = kind or ("PTR" if backwards else "A")
    names = [backwards] if backwards else candidates(left[0], search, ndots)
    asked = (twin(server), own_port(port) if twin(server) != server else port)
    return _show(left[0], names, kind, server, port, asked, timeout)


def _show(name, names, kind, server, port, asked, timeout):
    print(f"Server:\t\t{server}\nAddress:\t{server}:{port}\n")
    found = None
    try:
        for each in names:
            found = ask(asked, each, kind, timeout)
            if found.code == "NOERROR" and found.records:
                break
    except TimeoutError:
        print(";; connection timed out; no servers could be reached\n")
        return 1
    except (OSError, ValueError, IndexError) as error:
        if plain_address() and isinstance(error, OSError):
            complain(
                "nslookup",
                "no name server answers here: at the plain level of isolation a Pod has no network of its "
                "own. wget and nc reach Services by name through the Pod's forward proxy.",
            )
        else:
            complain("nslookup", getattr(error, "strerror", "") or error)
        return 1
    if not found.authoritative:
        print("Non-authoritative answer:")
    for owner, sort, text in found.records:
        if sort in ("A", "AAAA"):
            print(f"Name:\t{owner}\nAddress: {text}")
        elif sort == "CNAME":
            print(f"{owner}\tcanonical name = {text}")
        elif sort == "PTR":
            print(f"{owner}\tname = {text}")
        elif sort == "SRV":
            print(f"{owner}\tservice = {text}")
        else:
            print(f"{owner}\t{sort.lower()} = {text}")
    if found.code != "NOERROR":
        print(f"** server can't find {name}: {found.code}")
    elif not found.records:
        print(f"*** Can't find {name}: No answer")
    print()
    sys.stdout.flush()
    return 0 if found.code == "NOERROR" and found.records else 1
