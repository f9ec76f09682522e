"""The demo application's key-value store."""

import json
import os
import threading
from contextlib import suppress

from program import ENV, end_with, inside, listener, options, place, say


def store(words):
    """Keep values: PING, GET k, SET k v, INCR k, DEL k, KEYS, QUIT; changes go to the file first."""
    _, chosen = options(words, {"port": int(ENV.get("PORT", "6379")), "file": ENV.get("STORE_FILE", "")})
    values, lock, log = {}, threading.Lock(), None
    if chosen["file"]:
        path = inside(chosen["file"])
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        log = open(path, "a+")  # noqa: SIM115
        log.seek(0)
        for line in log:
            change = json.loads(line)
            values.update(change)
            values = {key: value for key, value in values.items() if value is not None}

    def change(key, value):
        if log:
            log.write(json.dumps({key: value}) + "\n")
            log.flush()
            os.fsync(log.fileno())
        values[key] = value
        if value is None:
            del values[key]

    def obey(line):
        verb, _, rest = line.strip().partition(" ")
        key, _, value = rest.partition(" ")
        with lock:
            if verb == "SET" and key:
                change(key, value)
            elif verb == "INCR" and key:
                change(key, str(int(values.get(key, "0")) + 1))
                return values[key]
            elif verb == "DEL" and key in values:
                change(key, None)
            elif verb == "GET":
                return values.get(key, "(nil)")
            elif verb == "KEYS":
                return " ".join(sorted(values))
            elif verb != "PING" and verb != "DEL":
                return "ERR known: PING, GET k, SET k v, INCR k, DEL k, KEYS, QUIT"
        return "PONG" if verb == "PING" else "OK"

    def serve(connection):
        # Reading and writing apart: one stream for both forgets what it has read ahead when it writes.
        with connection, connection.makefile("r") as lines, suppress(OSError):
            for line in lines:
                if line.strip() == "QUIT":
                    return
                try:
                    answer = obey(line)
                except ValueError as error:
                    answer = f"ERR {error}"
                connection.sendall(f"{answer}\n".encode())

    end_with(0)
    door = listener(chosen["port"])
    say(f"store listens on {place(door)} with {len(values)} keys")
    while True:
        threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()
