"""Pods that answer HTTP with their name and what they were asked for, and a client inside of one."""

from __future__ import annotations

import json
import shlex
from typing import Any

from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.manifests import pod, python

SERVER = """
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = {"pod": os.environ["POD"], "path": self.path, "headers": headers}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
# The address that a Pod without a network of its own is told to listen on; everywhere else it is not set.
place = os.environ.get("K8SLAB_ADDRESS", "0.0.0.0"), 8080
http.server.ThreadingHTTPServer(place, Handler).serve_forever()
"""

CLIENT = """
import json, sys, urllib.error, urllib.request
def ask(url, host):
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
print(json.dumps([ask(url, host) for url, host in json.loads(sys.argv[1])]))
"""

Answer = tuple[int, dict[str, Any]]
"""The status (0 without an answer), and what a Pod told (nothing, if no Pod answered)."""


def start(cluster: ClusterUnderTest, namespace: str, *names: str) -> None:
    """Have Pods with these names that answer on port 8080, named `http`, as soon as they are Ready."""
    for name in names:
        ports = [{"containerPort": 8080, "name": "http"}]
        environment = [{"name": "POD", "value": name}]
        probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
        container = python(SERVER, ports=ports, env=environment, readinessProbe=probe)
        cluster.kubectl(f"-n {namespace} apply -f -", stdin=pod(name, container))
    for name in names:
        wait = f"-n {namespace} wait pod/{name} --for=condition=Ready --timeout=120s"
        cluster.kubectl(wait, timeout=130)


def service(name: str, **spec: Any) -> dict[str, Any]:
    """A Service of the Pod of the same name: port 80, named `web`."""
    ports = [{"name": "web", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }


def ask(cluster: ClusterUnderTest, namespace: str, asker: str, url: str, host: str = "") -> Answer:
    """Ask for a URL from inside of a Pod, under the name of another host if one is given."""
    return ask_all(cluster, namespace, asker, (url, host))[0]


def ask_all(
    cluster: ClusterUnderTest, namespace: str, asker: str, *questions: tuple[str, str]
) -> list[Answer]:
    """Ask for several URLs, each with a host or none, one after the other."""
    words = " ".join(map(shlex.quote, (CLIENT, json.dumps(questions))))
    told = json.loads(cluster.kubectl(f"-n {namespace} exec {asker} -- python -c {words}"))
    return [(status, json.loads(text) if status == 200 else {}) for status, text in told]
