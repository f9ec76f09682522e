"""Which backend a request goes to. The table of paths is the one of Kubernetes' documentation of Ingress."""

from __future__ import annotations

import pytest

from k8slab.network.addresses import AddressPlan
from k8slab.network.ingress.objects import Ingress, oddities
from k8slab.network.ingress.routes import Routes
from k8slab.network.ingress.table import IngressTable, missing_services
from k8slab.network.services.table import ServiceTable
from tests.unit.ingress_manifests import ingress, item, service


def found(routes: Routes, host: str, path: str) -> str:
    backend = routes.match(host, path)
    return backend.service if backend else ""


@pytest.mark.parametrize(
    ("kind", "paths", "asked", "expected"),
    [
        # https://kubernetes.io/docs/concepts/services-networking/ingress/#examples
        ("Prefix", ["/"], "/anything/at/all", "/"),
        ("Exact", ["/foo"], "/foo", "/foo"),
        ("Exact", ["/foo"], "/bar", ""),
        ("Exact", ["/foo"], "/foo/", ""),
        ("Exact", ["/foo/"], "/foo", ""),
        ("Prefix", ["/foo"], "/foo", "/foo"),
        ("Prefix", ["/foo"], "/foo/", "/foo"),
        ("Prefix", ["/foo/"], "/foo", "/foo/"),
        ("Prefix", ["/foo/"], "/foo/", "/foo/"),
        ("Prefix", ["/aaa/bb"], "/aaa/bbb", ""),
        ("Prefix", ["/aaa/bbb"], "/aaa/bbb", "/aaa/bbb"),
        ("Prefix", ["/aaa/bbb/"], "/aaa/bbb", "/aaa/bbb/"),
        ("Prefix", ["/aaa/bbb"], "/aaa/bbb/", "/aaa/bbb"),
        ("Prefix", ["/aaa/bbb"], "/aaa/bbb/ccc", "/aaa/bbb"),
        ("Prefix", ["/aaa/bbb"], "/aaa/bbbxyz", ""),
        ("Prefix", ["/", "/aaa"], "/aaa/ccc", "/aaa"),
        ("Prefix", ["/", "/aaa", "/aaa/bbb"], "/aaa/bbb", "/aaa/bbb"),
        ("Prefix", ["/", "/aaa", "/aaa/bbb"], "/ccc", "/"),
        ("Prefix", ["/aaa"], "/ccc", ""),
        ("Prefix", ["/aaa"], "/AAA", ""),
        ("Prefix", ["/tea pot"], "/tea%20pot/1", "/tea pot"),
        ("ImplementationSpecific", ["/foo"], "/foo/bar", "/foo"),
        ("Prefix", ["/foo"], "/foo/../bar", ""),
        ("Prefix", ["/foo"], "/foo/%2e%2E/bar", ""),
        ("Prefix", ["/foo"], "/../bar/.././foo", "/foo"),
        ("Exact", ["/foo/"], "/foo/bar/..", "/foo/"),
        ("Exact", ["/foo/"], "/foo/.", "/foo/"),
        ("Exact", ["/foo/..."], "/foo/...", "/foo/..."),
    ],
)
def test_paths_as_in_the_documentation(kind: str, paths: list[str], asked: str, expected: str) -> None:
    routes = Routes([ingress("web", ("", [(path, kind, path) for path in paths]))])
    assert found(routes, "any.example", asked) == expected


def test_a_path_that_is_left_out_means_every_path() -> None:
    assert (
        found(Routes([ingress("web", ("", [("", "ImplementationSpecific", "web")]))]), "x", "/foo") == "web"
    )


def test_at_equal_length_exact_goes_before_prefix() -> None:
    rules = ("", [("/foo", "Prefix", "prefix"), ("/foo", "Exact", "exact"), ("/foo/bar", "Prefix", "longer")])
    routes = Routes([ingress("web", rules)])
    assert found(routes, "x", "/foo") == "exact"
    assert found(routes, "x", "/foo/other") == "prefix"
    assert found(routes, "x", "/foo/bar/baz") == "longer"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("foo.com", "exact"),
        ("FOO.com", "exact"),
        ("bar.foo.com", "wildcard"),
        ("named.foo.com", "named"),
        # A wildcard stands for one label (k8s.io/api networking/v1, IngressRule.host).
        ("baz.bar.foo.com", "any"),
        ("other.com", "any"),
        ("127.7.192.1", "any"),
        ("", "any"),
    ],
)
def test_the_most_exact_host_is_heard(host: str, expected: str) -> None:
    everything = [("foo.com", "exact"), ("*.foo.com", "wildcard"), ("named.foo.com", "named"), ("", "any")]
    rules = [(host_of_rule, [("/", "Prefix", backend)]) for host_of_rule, backend in everything]
    assert found(Routes([ingress("web", *rules)]), host, "/") == expected


def test_rules_for_a_less_exact_host_are_not_looked_at() -> None:
    rules = ("foo.com", [("/foo", "Prefix", "foo")]), ("", [("/", "Prefix", "any")])
    assert found(Routes([ingress("web", *rules)]), "foo.com", "/other") == ""


def test_the_older_of_two_ingresses_is_heard_whatever_their_order() -> None:
    older = ingress("z", ("", [("/", "Prefix", "older")]), created="2026-01-01T00:00:00Z")
    newer = ingress("a", ("", [("/", "Prefix", "newer")]), created="2026-01-01T00:00:01Z")
    assert found(Routes([newer, older]), "x", "/") == found(Routes([older, newer]), "x", "/") == "older"


def test_default_backends() -> None:
    alone = ingress("alone", default="alone", created="2026-01-01T00:00:05Z")
    first = ingress("first", ("a.com", [("/a", "Prefix", "a")]), default="first")
    host_only = ingress("host-only", ("b.com", []), default="b")
    routes = Routes([alone, first, host_only])
    assert found(routes, "a.com", "/a") == "a"
    assert found(routes, "a.com", "/other") == "first"
    assert found(routes, "b.com", "/whatever") == "b"
    assert found(routes, "c.com", "/") == "alone"
    assert found(Routes([first, host_only]), "c.com", "/") == "first"
    assert found(Routes([ingress("web", ("", [("/a", "Exact", "a")]))]), "c.com", "/") == ""


def test_whose_an_ingress_is() -> None:
    table = IngressTable()
    legacy = {"kubernetes.io/ingress.class": "k8slab"}
    for each in (
        item("ours"),
        item("other", spec={"ingressClassName": "nginx"}),
        item("unclassed", spec={"ingressClassName": None}),
        item("legacy", spec={"ingressClassName": None}, annotations=legacy),
        item("both", spec={"ingressClassName": "nginx"}, annotations=legacy),
    ):
        table.put_ingress(each)
    assert [each.owner.name for each in table.ours()] == ["legacy"]
    table.put_class({"metadata": {"name": "k8slab"}, "spec": {"controller": "k8slab.dev/ingress"}})
    table.put_class({"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}})
    assert [each.owner.name for each in table.ours()] == ["legacy", "ours"]
    table.drop_class({"metadata": {"name": "k8slab"}})
    assert [each.owner.name for each in table.ours()] == ["legacy"]


def test_what_has_no_effect_is_said() -> None:
    resource = {"resource": {"apiGroup": "k8s.example.com", "kind": "Bucket", "name": "icons"}}
    odd = item(
        "web",
        ("", [("/api(/|$)(.*)", "ImplementationSpecific", "web")]),
        annotations={"nginx.ingress.kubernetes.io/rewrite-target": "/", "team": "a"},
        spec={"defaultBackend": resource},
    )
    reasons = [reason for reason, _ in oddities(Ingress.of(odd))]
    assert reasons == ["AnnotationIgnored", "PathTakenLiterally", "ResourceBackend"]
    assert oddities(ingress("web", ("", [("/*", "Prefix", "web")]))) == []


def test_missing_services_and_ports_are_said() -> None:
    services = ServiceTable(AddressPlan(7))
    plain = {"clusterIP": "10.7.128.5", "ports": [{"name": "http", "port": 80}]}
    services.put_service({"metadata": {"namespace": "shop", "name": "web"}, "spec": plain})
    outside = {"type": "ExternalName", "externalName": "example.com"}
    services.put_service({"metadata": {"namespace": "shop", "name": "out"}, "spec": outside})
    wanted = item("web", ("", [("/a", "Exact", "web"), ("/b", "Exact", "absent"), ("/c", "Exact", "out")]))
    wanted["spec"]["defaultBackend"] = service("web", "admin")
    told = dict(missing_services(Ingress.of(wanted), services))
    assert set(told) == {"ServiceNotFound", "ExternalNameNotServed", "PortNotFound"}
    assert "80 (http)" in told["PortNotFound"]
    named = item("named")
    named["spec"]["defaultBackend"] = service("web", "http")
    assert missing_services(Ingress.of(named), services) == []
