"""The certificates of Ingresses: which one a client is shown, by the name it asks for (SNI).

A name that no certificate is for, and a client that names none, is shown the certificate of the oldest entry
without hosts, or else of the oldest entry of all: an address needs some certificate to answer HTTPS at all,
and one that does not fit is what the client then says. Without any certificate nobody listens on port 443.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Mapping, Sequence

from k8slab.errors import ClusterError
from k8slab.network.ingress.objects import Ingress, Owner
from k8slab.network.ingress.routes import candidates
from k8slab.network.ingress.table import SecretKey


class CertificateError(ClusterError):
    """A Secret from which no certificate can be shown."""


Trouble = tuple[str, str]
"""Reason and message of an Event."""


class Certificates:
    """The certificates that the Secrets of some Ingresses hold.

    Args:
        ingresses: those that are ours, the oldest first.
        secrets: the data of every Secret of type `kubernetes.io/tls`.

    Attributes:
        front: the context to begin every handshake with; None without any certificate.
        troubles: for each Ingress the entries of `spec.tls` that show no certificate.
    """

    def __init__(
        self, ingresses: Sequence[Ingress] = (), secrets: Mapping[SecretKey, Mapping[str, str]] | None = None
    ) -> None:
        self.troubles: dict[Owner, list[Trouble]] = {}
        self.front: ssl.SSLContext | None = None
        self._by_host: dict[str, ssl.SSLContext] = {}
        contexts: dict[SecretKey, ssl.SSLContext] = {}
        first: ssl.SSLContext | None = None
        for ingress in ingresses:
            for entry in ingress.tls:
                key = SecretKey(ingress.owner.namespace, entry.secret)
                try:
                    if key not in contexts:
                        contexts[key] = context_of(key, (secrets or {}).get(key))
                except CertificateError as error:
                    reason = "TLSSecretInvalid" if key in (secrets or {}) else "TLSSecretNotFound"
                    self.troubles.setdefault(ingress.owner, []).append((reason, str(error)))
                    continue
                first = first or contexts[key]
                for host in entry.hosts or ("",):
                    self._by_host.setdefault(host, contexts[key])
        self.front = self._by_host.get("", first)
        if self.front is not None:
            self.front.sni_callback = self._choose

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, begun: ssl.SSLContext
    ) -> None:
        for host in candidates(name or ""):
            if host in self._by_host:
                connection.context = self._by_host[host]
                return


def context_of(key: SecretKey, data: Mapping[str, str] | None) -> ssl.SSLContext:
    """A server's TLS context with the certificate and the private key of a Secret.

    Raises:
        CertificateError: there is no such Secret, or what it holds is no such pair.
    """
    name = f"Secret {key.namespace}/{key.name}" if key.name else "no Secret"
    if not key.name:
        raise CertificateError("an entry of spec.tls names no Secret, so its hosts have no certificate here")
    if data is None:
        raise CertificateError(f"{name} does not exist, or is not of the type kubernetes.io/tls")
    try:
        pem = b"\n".join(base64.b64decode(data[part], validate=True) for part in ("tls.crt", "tls.key"))
    except (KeyError, binascii.Error) as error:
        raise CertificateError(f"{name} holds no tls.crt and tls.key that can be read: {error}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    # OpenSSL reads files alone; this one has no name and is never on a disk.
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise CertificateError(f"{name} holds no certificate with its private key: {error}") from error
    finally:
        os.close(descriptor)
    return context


def _no_password() -> str:
    # Otherwise OpenSSL would ask at the terminal, where nobody is.
    raise ValueError("its private key is encrypted")
