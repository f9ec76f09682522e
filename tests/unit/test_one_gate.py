"""One gate for all writes: nothing in the lab but the guard changes a cluster."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "k8slab"

BACKENDS = ("cluster", "node", "network")
"""What a cluster itself is made of; they act as its components, not as the lab."""

GATE = {"guard.py", "guard_machines.py", "kubectl_program.py"}


SENT_BY_CLUSTERS = {
    "api.py": "the connection itself; what is sent on it is its caller's",
    "embedded/supervisor/bootstrap.py": "the first objects, before anybody has the cluster",
    "embedded/etcd_gateway.py": "etcd takes a read by POST",
    "reviews.py": "the API server answers a review of one's own rights and keeps nothing of it",
}
"""Files of `cluster` that send something other than GET, and why."""


def lab_sources() -> list[Path]:
    backend = {"api_client.py", "api_watch.py", "commands.py", "processes.py", "linux.py"}
    return [
        path
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in BACKENDS and path.name not in backend
    ]


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


SENDS = {"open", "request", "urlopen", "call_api", "request_encode_body", "request_encode_url"}
CHANGES = {"POST", "PUT", "PATCH", "DELETE"}


def writes(tree: ast.AST) -> list[int]:
    """Lines that send something other than GET, or a method that nobody can read there.

    Also where such a call is only taken hold of (`send = api.open`, `getattr(api, "open")`), for what it is
    given then cannot be seen, and the generated client's verbs.
    """
    lines = []
    called = {id(call.func) for call in calls(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in SENDS - {"open"} and id(node) not in called:
            lines.append(node.lineno)
        if isinstance(node, ast.Attribute) and re.match(
            r"(create|patch|replace|delete|connect)_(namespaced|collection|cluster_custom)", node.attr
        ):
            lines.append(node.lineno)
    for call in calls(tree):
        if isinstance(call.func, ast.Name) and call.func.id == "getattr" and len(call.args) > 1:
            name = call.args[1]
            if isinstance(name, ast.Constant) and name.value in SENDS:
                lines.append(call.lineno)
        if not (isinstance(call.func, ast.Attribute) and call.func.attr in SENDS):
            continue
        if isinstance(call.func.value, ast.Name) and call.func.value.id == "os":
            continue
        named = next((each.value for each in call.keywords if each.arg == "method"), None)
        first = call.args[0] if call.args else named
        sent = first.value if isinstance(first, ast.Constant) else None
        api_like = len(call.args) >= 2 or named is not None or call.func.attr != "open"
        if sent in CHANGES or (api_like and first is not None and not isinstance(first, ast.Constant)):
            lines.append(call.lineno)
    return lines


def test_nothing_but_the_guard_sends_a_change() -> None:
    sources = lab_sources()
    assert len(sources) > 30
    for path in sources:
        tree = ast.parse(path.read_text())
        found = writes(tree)
        if path.name in GATE:
            continue
        assert not found, f"{path} sends changes in lines {found}; they belong to guard.py"


def test_what_a_cluster_itself_sends_is_known_and_has_its_reason() -> None:
    found = {
        str(path.relative_to(PACKAGE / "cluster"))
        for path in (PACKAGE / "cluster").rglob("*.py")
        if writes(ast.parse(path.read_text())) and path.parent.name != "components"
    }
    assert found == set(SENT_BY_CLUSTERS)
    asks = {
        str(path.relative_to(PACKAGE / "cluster"))
        for path in (PACKAGE / "cluster").rglob("*.py")
        for call in calls(ast.parse(path.read_text()))
        if ast.unparse(call).startswith("run(") and "kubectl" in ast.unparse(call)
    }
    # On a cluster of ours alone: it is made, marked, waited for and given its metrics-server that way.
    assert asks == {"kind/cluster.py"}


def test_nothing_but_the_guard_runs_kubectl() -> None:
    for path in lab_sources():
        names = imported(ast.parse(path.read_text()))
        if path.name not in GATE:
            assert "k8slab.commands.run" not in names, path
        if path.name != "guard.py":
            assert not {name for name in names if name.startswith("k8slab.kubectl_program")}, path
        assert not {"subprocess", "http.client", "requests", "urllib.request"} & names, path
        assert not {name for name in names if name.split(".")[0] == "kubernetes"}, path


def test_the_walk_finds_what_it_is_for() -> None:
    assert writes(ast.parse('api.open("POST", "/x")')) == [1]
    assert writes(ast.parse("api.open(method, '/x')")) == [1]
    assert writes(ast.parse('api.open("GET", "/x")')) == []
    for hidden in (
        'api.open(method="POST", path="/x")', 'getattr(api, "open")("POST", "/x")', "send = pool.request",
        'pool.urlopen("POST", "/x")', 'pool.request_encode_body("POST", "/x")',
        "core.create_namespaced_pod(x)",
        "core.delete_collection_namespaced_pod(x)", "pool.request(verb)",
    ):  # fmt: skip
        assert writes(ast.parse(hidden)) == [1], hidden
    assert writes(ast.parse((PACKAGE / "guard.py").read_text()))
