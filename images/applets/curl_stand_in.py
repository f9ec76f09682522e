"""A stand-in for curl where the host has none: plain HTTP and HTTPS requests with the commonest options."""

import sys

from network import Failure
from web_client import joined, request

VERSION = "curl stand-in of k8slab (this host has no curl): http and https, the commonest options"
VALUES = {
    "-o": "output",
    "--output": "output",
    "-X": "method",
    "--request": "method",
    "-d": "data",
    "--data": "data",
    "--data-binary": "data",
    "--data-raw": "data",
    "-H": "header",
    "--header": "header",
    "-m": "seconds",
    "--max-time": "seconds",
    "--connect-timeout": "seconds",
    "-w": "write",
    "--write-out": "write",
    "-A": "agent",
    "--user-agent": "agent",
    "--retry": "ignored",
    "--cacert": "ignored",
}
FLAGS = {
    "-s": "silent",
    "--silent": "silent",
    "-S": "errors",
    "--show-error": "errors",
    "-f": "fail",
    "--fail": "fail",
    "-i": "include",
    "--include": "include",
    "-I": "head",
    "--head": "head",
    "-v": "verbose",
    "--verbose": "verbose",
    "-L": "follow",
    "--location": "follow",
    "-k": "insecure",
    "--insecure": "insecure",
    "-O": "remote",
    "-4": "ignored",
    "-N": "ignored",
}
MOST_REDIRECTS = 50


def options(words):
    """What was chosen, the headers, and the URLs."""
    chosen, headers, urls, words = {}, [], [], list(words)
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            urls.append(word)
            continue
        name, rest = (word, "") if word.startswith("--") else (word[:2], word[2:])
        if name in VALUES:
            if not rest and not words:
                raise Failure(f"option {word}: requires parameter")
            value = rest or words.pop(0)
            if VALUES[name] == "header":
                key, _, text = value.partition(":")
                headers.append((key.strip(), text.strip()))
            elif VALUES[name] == "data" and "data" in chosen:
                value = f"{chosen['data']}&{value}"
            chosen[VALUES[name]] = value
        elif name in FLAGS:
            chosen[FLAGS[name]] = True
            if rest:
                words.insert(0, f"-{rest}")
        else:
            raise Failure(f"option {word}: is unknown to k8slab's stand-in for curl")
    return chosen, headers, urls


def fetch(url, chosen, headers):
    """Ask for one URL and write what came; the exit code that curl would give."""
    data = chosen.get("data", "")
    if data.startswith("@"):
        with open(data[1:], "rb") as file:
            body = file.read()
    else:
        body = data.encode()
    method = chosen.get("method") or ("HEAD" if "head" in chosen else "POST" if "data" in chosen else "GET")
    seconds = float(chosen.get("seconds") or 0) or None
    sent = [("User-Agent", chosen.get("agent") or "k8slab-curl-stand-in"), ("Accept", "*/*"), *headers]

    def told(host, address, port):
        if "verbose" in chosen:
            print(f"* Connected to {host} ({address}) port {port}\n> {method} {url}", file=sys.stderr)

    for _ in range(MOST_REDIRECTS):
        response, connection = request(url, method, sent, body, seconds, "insecure" not in chosen, told)
        place = response.header("location")
        if "follow" not in chosen or not 300 <= response.status < 400 or not place:
            break
        connection.close()
        url = joined(url, place)
    with connection:
        lines = [response.line, *(f"{key}: {value}" for key, value in response.headers), ""]
        if "verbose" in chosen:
            print("\n".join(f"< {line}" for line in lines), file=sys.stderr)
        if "fail" in chosen and response.status >= 400:
            raise Failure(f"(22) The requested URL returned error: {response.status}")
        name = chosen.get("output") or (
            url.partition("?")[0].rpartition("/")[2] if "remote" in chosen else "-"
        )
        file = sys.stdout.buffer if name == "-" else open(name, "wb")  # noqa: SIM115
        if "include" in chosen or "head" in chosen:
            file.write(("\r\n".join(lines) + "\r\n").encode())
        for part in response.body():
            file.write(part)
        file.flush()
        if file is not sys.stdout.buffer:
            file.close()
    wanted = chosen.get("write", "").replace("\\n", "\n").replace("%{http_code}", str(response.status))
    sys.stdout.write(wanted.replace("%{response_code}", str(response.status)))


def main(words):
    """Ask for every URL."""
    if words[:1] in (["--version"], ["-V"]):
        print(VERSION)
        return 0
    chosen = {}
    try:
        chosen, headers, urls = options(words)
        if not urls:
            raise Failure("(2) no URL specified")
        for url in urls:
            fetch(url, chosen, headers)
    except (Failure, OSError, ValueError) as error:
        text = f"{error}"
        code = (
            22
            if "(22)" in text
            else 2
            if "option" in text or "(2)" in text
            else 6
            if "bad address" in text
            else 7
        )
        code = 28 if "timed out" in text else code
        if "silent" not in chosen or "errors" in chosen:
            print(f"curl: {text if text.startswith('(') else f'({code}) {text}'}", file=sys.stderr)
        return code
    return 0
