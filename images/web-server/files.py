"""Which file of a folder answers a request."""

import os
import time

TYPES = {
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "js": "application/javascript",
    "mjs": "application/javascript",
    "json": "application/json",
    "txt": "text/plain",
    "xml": "text/xml",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "ico": "image/x-icon",
    "pdf": "application/pdf",
    "wasm": "application/wasm",
}


def unquote(text):
    """Undo %xx."""
    first, *rest = text.encode("latin-1", "replace").split(b"%")
    try:
        return (first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in rest)).decode()
    except ValueError:
        return text


def found(root, target, headers):
    """Status, content type, body (None for the standard page) and further headers for a request.

    Args:
        root: the folder that is served.
        target: path and query, as the request names them.
        headers: the request's, names in lower case.
    """
    path = unquote(target.partition("?")[0])
    if "\0" in path or not path.startswith("/"):
        return 400, "text/html", None, []
    inner = os.path.normpath(path).lstrip("/")
    place = os.path.join(root, inner)
    if os.path.isdir(place):
        if not path.endswith("/"):
            return 301, "text/html", None, [f"Location: {target.partition('?')[0]}/"]
        place = os.path.join(place, "index.html")
        if not os.path.exists(place):
            return (403 if inner or os.path.isdir(root) else 404), "text/html", None, []
    try:
        # Volumes are links into folders elsewhere: a link is followed, `..` never leads out.
        with open(place, "rb") as file:
            changed = os.fstat(file.fileno()).st_mtime
            body = file.read()
    except PermissionError:
        return 403, "text/html", None, []
    except OSError:
        return 404, "text/html", None, []
    tag = f'"{int(changed):x}-{len(body):x}"'
    stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(changed))
    facts = [f"Last-Modified: {stamp}", f"ETag: {tag}"]
    if headers.get("if-none-match") == tag:
        return 304, "text/html", None, facts
    ending = place.rpartition(".")[2].lower()
    return 200, TYPES.get(ending, "application/octet-stream"), body, facts
