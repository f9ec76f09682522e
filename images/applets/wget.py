"""wget, as busybox has it."""

import os
import sys

from network import Failure
from web_client import complain, joined, request, take_apart

USAGE = """Usage: wget [-cqS] [--spider] [-O FILE] [-P DIR] [-T SEC] [-U AGENT] [--header STR]
\t[--post-data STR | --post-file FILE] [--no-check-certificate] URL...
k8slab's own, for the options of busybox's; certificates are not checked, as there."""
VALUES = {"-O", "-P", "-T", "-U", "-o", "-Y", "-t", "--header", "--post-data", "--post-file", "--timeout"}
LONG = {
    "--quiet": "-q",
    "--server-response": "-S",
    "--output-document": "-O",
    "--directory-prefix": "-P",
    "--timeout": "-T",
    "--user-agent": "-U",
    "--tries": "-t",
    "--continue": "-c",
}
FLAGS = {"-q", "-S", "-c", "--spider", "--no-check-certificate"}
MOST_REDIRECTS = 10


def options(words):
    """Flags and values by name, headers, and the URLs."""
    found, headers, urls, words = {}, [], [], list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            urls += words
            break
        if not word.startswith("-") or word == "-":
            urls.append(word)
            continue
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            name = LONG.get(name, name)
            rest = ""
        else:
            name, equals, value, rest = word[:2], "", word[2:], word[2:]
        if name in VALUES:
            if not equals and not value:
                if not words:
                    raise Failure(f"option requires an argument -- '{name.lstrip('-')}'\n{USAGE}")
                value = words.pop(0)
            if name == "--header":
                key, _, text = value.partition(":")
                headers.append((key.strip(), text.strip()))
            found[name] = value
        elif name in FLAGS:
            found[name] = True
            if rest:
                words.insert(0, f"-{rest}")
        else:
            raise Failure(f"unrecognized option '{word}'\n{USAGE}")
    return found, headers, urls


def fetch(url, chosen, headers):
    """Get one URL to where it is wanted."""
    quiet, timeout = "-q" in chosen, float(chosen.get("-T") or 900)
    body = chosen.get("--post-data", "").encode()
    if "--post-file" in chosen:
        with open(chosen["--post-file"], "rb") as file:
            body = file.read()
    posts = "--post-data" in chosen or "--post-file" in chosen
    spider = "--spider" in chosen
    method = "POST" if posts else "HEAD" if spider else "GET"

    def say(text):
        if not quiet:
            print(text, file=sys.stderr, flush=True)

    target = chosen.get("-O") or ""
    path = take_apart(url)[3].partition("?")[0]
    name = target or os.path.join(chosen.get("-P", ""), path.rpartition("/")[2] or "index.html")
    if not target and not spider and os.path.exists(name):
        raise Failure(f"can't open '{name}': File exists")
    sent = [("User-Agent", chosen.get("-U") or "Wget"), *headers]
    for _ in range(MOST_REDIRECTS):
        response, connection = request(
            url,
            method,
            sent,
            body,
            timeout,
            told=lambda host, address, port: say(f"Connecting to {host} ({address}:{port})"),
        )
        if "-S" in chosen:
            for line in (response.line, *(f"{key}: {value}" for key, value in response.headers)):
                print(f"  {line}", file=sys.stderr)
        if response.status in (301, 302, 303, 307, 308) and response.header("location"):
            connection.close()
            url = joined(url, response.header("location"))
            continue
        break
    else:
        raise Failure("too many redirections")
    with connection:
        if not 200 <= response.status < 300:
            raise Failure(f"server returned error: {response.line}")
        if spider:
            say("remote file exists")
            return
        if target == "-":
            say("writing to stdout")
            for part in response.body():
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
            say("written to stdout")
            return
        say(f"saving to '{name}'")
        try:
            file = open(name, "wb")  # noqa: SIM115
        except OSError as error:
            raise Failure(f"can't open '{name}': {error.strerror}") from None
        with file:
            for part in response.body():
                file.write(part)
        say(f"'{name}' saved")


def main(words):
    """Get every URL; 1 as soon as one fails."""
    try:
        chosen, headers, urls = options(words)
        if not urls:
            raise Failure(f"missing URL\n{USAGE}")
        for url in urls:
            fetch(url, chosen, headers)
    except TimeoutError:
        complain("wget", "download timed out")
        return 1
    except (Failure, OSError, ValueError) as error:
        complain("wget", error)
        return 1
    return 0
