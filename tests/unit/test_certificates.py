"""The cluster's authority: what it signs is valid for its purpose and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from k8slab.cluster.embedded.certificates import CertificateAuthority


def load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def test_a_serving_certificate_is_valid_for_its_names_under_its_own_authority_only() -> None:
    authority, stranger = CertificateAuthority("kubernetes"), CertificateAuthority("kubernetes")
    certificate = load(authority.server("kube-apiserver", ["kubernetes", "127.7.255.1"]).certificate)
    name = x509.DNSName("kubernetes")

    def verify(trusted: CertificateAuthority, subject: x509.DNSName) -> None:
        store = Store([load(trusted.pair.certificate)])
        PolicyBuilder().store(store).build_server_verifier(subject).verify(certificate, [])

    verify(authority, name)
    with pytest.raises(VerificationError):
        verify(stranger, name)
    with pytest.raises(VerificationError):
        verify(authority, x509.DNSName("elsewhere"))


def test_a_client_certificate_carries_user_and_groups_and_serves_nothing() -> None:
    certificate = load(CertificateAuthority("ca").client("system:node:w", ["system:nodes"]).certificate)
    subject = certificate.subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:w"
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_certificates_live_a_year_at_most_and_already_now() -> None:
    certificate = load(CertificateAuthority("ca").client("user").certificate)
    assert certificate.not_valid_before_utc < datetime.now(UTC)
    assert (certificate.not_valid_after_utc - datetime.now(UTC)).days <= 365


def test_serial_numbers_differ() -> None:
    authority = CertificateAuthority("ca")
    serials = {load(authority.client("user").certificate).serial_number for _ in range(20)}
    assert len(serials) == 20
