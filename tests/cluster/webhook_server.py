"""Admission and conversion webhooks: a Python program in a Pod behind a Service, with its own certificate.

It comes out of a ConfigMap and its certificate out of a Secret; nothing is built.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.cluster.conftest import ClusterUnderTest

NAME = "hooks"

PROGRAM = """
import base64, json, os, ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def validate(request):
    if request["object"].get("data", {}).get("colour") == "beige":
        return {"allowed": False, "status": {"code": 403, "message": "beige is not a colour"}}
    return {"allowed": True, "warnings": ["somebody looked at this"]}


def mutate(request):
    patch = [{"op": "add", "path": "/data/seen", "value": "by " + request["userInfo"]["username"]}]
    text = base64.b64encode(json.dumps(patch).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": text}


def convert(request):
    version = request["desiredAPIVersion"]
    converted = []
    for item in request["objects"]:
        old = item["spec"]
        if version.endswith("/v2") and "hostPort" in old:
            host, _, port = old["hostPort"].partition(":")
            item["spec"] = {"host": host, "port": port}
        elif version.endswith("/v1") and "host" in old:
            item["spec"] = {"hostPort": old["host"] + ":" + old["port"]}
        converted.append({**item, "apiVersion": version})
    return {"result": {"status": "Success"}, "convertedObjects": converted}


ANSWERS = {"/validate": validate, "/mutate": mutate, "/convert": convert}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review.pop("request")
        answer = ANSWERS[self.path.partition("?")[0]](request)
        body = json.dumps({**review, "response": {"uid": request["uid"], **answer}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


# A node without namespaces tells its programs where to listen.
server = ThreadingHTTPServer((os.environ.get("K8SLAB_ADDRESS", "0.0.0.0"), 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.environ["PAIR"] + "/tls.crt", os.environ["PAIR"] + "/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class Certificate:
    """A certificate that vouches for itself, and its key, both as PEM."""

    certificate: str
    key: str

    @property
    def bundle(self) -> str:
        """The certificate as a `caBundle`."""
        return base64.b64encode(self.certificate.encode()).decode()


def certificate_for(names: Sequence[str]) -> Certificate:
    """Sign a serving certificate for some host names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(built.public_bytes(serialization.Encoding.PEM).decode(), private.decode())


def start_webhooks(cluster: ClusterUnderTest, namespace: str) -> Certificate:
    """Run the program in a namespace behind the Service `hooks`; returns once it is ready."""
    certificate = certificate_for([f"{NAME}.{namespace}.svc"])
    labels = {"app": NAME}
    container = {
        "name": NAME,
        "image": "python:3.12-alpine",
        "command": ["python", "/program/hooks.py"],
        "env": [{"name": "PAIR", "value": "/pair"}],
        "ports": [{"containerPort": 8443}],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "program", "mountPath": "/program"},
            {"name": "pair", "mountPath": "/pair", "readOnly": True},
        ],
    }
    volumes: list[dict[str, Any]] = [
        {"name": "program", "configMap": {"name": NAME}},
        {"name": "pair", "secret": {"secretName": NAME}},
    ]
    pod = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], "volumes": volumes},
    }
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"hooks.py": PROGRAM}},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": NAME},
            "stringData": {"tls.crt": certificate.certificate, "tls.key": certificate.key},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME},
            "spec": {"selector": {"matchLabels": labels}, "template": pod},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {"selector": labels, "ports": [{"port": 443, "targetPort": 8443}]},
        },
    ]
    cluster.kubectl(f"-n {namespace} apply -f -", stdin="\n---\n".join(map(json.dumps, objects)))
    cluster.kubectl(f"-n {namespace} rollout status deployment/{NAME} --timeout=90s", timeout=120)
    return certificate
