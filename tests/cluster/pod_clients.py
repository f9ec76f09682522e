"""Programs that run in a Pod and ask others over the network; each prints one JSON document.

They are sent to `python -` by `kubectl exec -i`, so they use the standard library alone.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from tests.cluster.manifests import pod, python, run_ready

if TYPE_CHECKING:
    from tests.cluster.conftest import ClusterUnderTest

SERVER = """
import http.server, json, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"pod": os.environ["POD_NAME"], "port": self.server.server_port}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
import threading
# Without a network of its own a program is told where to listen.
where = os.environ.get("K8SLAB_ADDRESS", "")
servers = [http.server.ThreadingHTTPServer((where, port), Answer) for port in (8080, 9090)]
open(os.environ.get("TMPDIR", "/tmp") + "/listening", "w").close()
threading.Thread(target=servers[0].serve_forever).start()
servers[1].serve_forever()
"""
"""An HTTP server on ports 8080 and 9090 that tells its Pod and its port."""

UDP_SERVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 9000))
while True:
    data, client = server.recvfrom(4096)
    server.sendto(socket.gethostname().encode() + b" " + data, client)
"""

HTTP_CLIENT = """
import json, sys, urllib.request
answers = []
for _ in range(int(sys.argv[2])):
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=15) as response:
            answers.append(json.load(response))
    except OSError as error:
        answers.append({"pod": "", "error": repr(error)})
print(json.dumps(answers))
"""

TCP_CLIENT = """
import json, socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=15).close()
    print(json.dumps(""))
except OSError as error:
    print(json.dumps(type(error).__name__))
"""

UDP_CLIENT = """
import json, socket, sys
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.settimeout(15)
answers = []
try:
    asker.connect((sys.argv[1], int(sys.argv[2])))
    for number in range(5):
        asker.send(b"%d" % number)
        answers.append(asker.recv(4096).decode())
except OSError as error:
    answers.append(type(error).__name__)
print(json.dumps(answers))
"""

RESOLVER = """
import json, socket, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = sorted({each[4][0] for each in socket.getaddrinfo(name, None, socket.AF_INET)})
    except OSError as error:
        found[name] = []
print(json.dumps(found))
"""


def start_client(cluster: ClusterUnderTest, namespace: str, name: str = "client", **spec: Any) -> None:
    """Run a Pod in which the programs of this module can be run."""
    idle = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: exit())\nwhile True: signal.pause()"
    run_ready(cluster, namespace, pod(name, python(idle), **spec))


def start_server(cluster: ClusterUnderTest, namespace: str, name: str, **spec: Any) -> None:
    """Run a Pod with `SERVER`, labelled `tier: web`; a temporary file `unready` makes it that.

    It is Ready once it listens on both ports, and not as soon as its program has begun.
    """
    ports = [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}]
    files = "test -e ${TMPDIR:-/tmp}/listening && test ! -e ${TMPDIR:-/tmp}/unready"
    check = {"exec": {"command": ["sh", "-c", files]}}
    probe = {**check, "periodSeconds": 1, "failureThreshold": 1}
    named = [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    manifest = json.loads(pod(name, python(SERVER, ports=ports, readinessProbe=probe, env=named), **spec))
    manifest["metadata"]["labels"]["tier"] = "web"
    run_ready(cluster, namespace, json.dumps(manifest))


def inside(
    cluster: ClusterUnderTest, namespace: str, program: str, *words: object, name: str = "client"
) -> Any:
    """Run one of these programs in a Pod; what it printed."""
    arguments = shlex.join(map(str, words))
    return json.loads(
        cluster.kubectl(f"-n {namespace} exec -i {name} -- python - {arguments}", stdin=program, timeout=120)
    )


def who(
    cluster: ClusterUnderTest, namespace: str, url: str, count: int = 1, name: str = "client"
) -> list[str]:
    """The Pods that answered requests to a URL, in order; empty words where nobody did."""
    return [str(each["pod"]) for each in inside(cluster, namespace, HTTP_CLIENT, url, count, name=name)]


def service(name: str, *ports: dict[str, Any], selector: dict[str, str] | None = None, **spec: Any) -> str:
    """A Service as JSON; it selects `tier: web` unless told otherwise."""
    body: dict[str, Any] = {
        "ports": list(ports or ({"name": "http", "port": 80, "targetPort": "http"},)),
        **spec,
    }
    body["selector"] = {"tier": "web"} if selector is None else selector
    if not body["selector"]:
        del body["selector"]
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body})


def endpoint_slice(owner: str, port: dict[str, Any], *addresses: str) -> str:
    """An EndpointSlice written by hand, as JSON."""
    return json.dumps(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{owner}-by-hand", "labels": {"kubernetes.io/service-name": owner}},
            "addressType": "IPv4",
            "ports": [port],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        }
    )
