"""What holds for every test: its tier, files of its own, no network, and nothing left at the end."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.embedded_clusters import EmbeddedClusters
from tests.sweep import Surroundings
from tests.tiers import KIND, SANDBOXED, TIERS, Tier, is_required, required_and_blocked, tier_of

TESTS = Path(__file__).parent

# How long an example takes says more about the machine than about the code.
settings.register_profile("k8slab", deadline=None)
settings.load_profile("k8slab")

OBSTACLES = pytest.StashKey[dict[str, str]]()
SURROUNDINGS = pytest.StashKey[Surroundings]()


# CPython 3.11.5 to 3.11.7 and 3.12.0 to 3.12.1 leave a TLS socket to the garbage collector where its
# server, killed by a test, resets the connection before the handshake (python/cpython issue 113280).
# Such a socket has no peer; one that the project forgets has, for as long as its server lives.
RESET_SOCKET = r"ignore:unclosed <ssl\.SSLSocket [^>]*laddr=\('[0-9.]+', \d+\)>:ResourceWarning"
LEAVES_RESET_SOCKETS = (3, 11, 5) <= sys.version_info[:3] < (3, 11, 8) or sys.version_info[:3] in {
    (3, 12, 0),
    (3, 12, 1),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be of some tiers alone; `tests.lanes` makes use of it."""
    every = ",".join(tier.name for tier in TIERS)
    parser.addoption("--tiers", default=every, help=f"tiers to run, with commas between: {every}")


def pytest_configure(config: pytest.Config) -> None:
    """Find out which tiers can run, and give the run a state folder and a home of its own."""
    if LEAVES_RESET_SOCKETS:
        config.addinivalue_line("filterwarnings", RESET_SOCKET)
    config.stash[OBSTACLES] = {tier.name: tier.obstacle() for tier in (*TIERS, SANDBOXED, KIND)}
    config.stash[SURROUNDINGS] = Surroundings()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the run's own folders."""
    if SURROUNDINGS in config.stash:
        config.stash[SURROUNDINGS].remove()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which tiers run, and which are left out and why."""
    return [f"tier {name}: {_state(problem)}" for name, problem in config.stash[OBSTACLES].items()]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the folder of a tier that cannot run here, or that this run is not about."""
    tier = tier_of(collection_path, TESTS)
    if tier is None:
        return None
    return True if tier not in _chosen(config) or config.stash[OBSTACLES][tier.name] else None


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Mark each test with its tier, run the tiers in order, and insist on what is required."""
    obstacles = config.stash[OBSTACLES]
    problems = []
    if config.args == config.getini("testpaths"):
        chosen = _chosen(config)
        problems += required_and_blocked([tier.name for tier in (*chosen, SANDBOXED)], obstacles)
        present = {tier.name for item in items if (tier := tier_of(item.path, TESTS)) is not None}
        problems += [
            f"The tier {tier.name} is required and has no tests."
            for tier in chosen
            if is_required(tier.name) and tier.name not in present and not obstacles[tier.name]
        ]
    for item in items:
        tier = tier_of(item.path, TESTS)
        if tier is None:
            problems.append(f"{item.nodeid} lies in the folder of no tier.")
            continue
        item.add_marker(tier.name)
        if obstacles[SANDBOXED.name] and not is_required(SANDBOXED.name) and _is_sandboxed(item):
            item.add_marker(pytest.mark.skip(reason=f"no sandboxed level: {obstacles[SANDBOXED.name]}"))
    if problems:
        raise pytest.UsageError("\n".join(problems))
    yield
    order = {tier: place for place, tier in enumerate(TIERS)}

    def place(item: pytest.Item) -> tuple[bool, int]:
        last = item.get_closest_marker("judges_the_run") is not None
        return last, order.get(tier_of(item.path, TESTS) or SANDBOXED, 0)

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say at the end, too, what was left out: the counts alone do not show it."""
    left_out = {name: problem for name, problem in config.stash[OBSTACLES].items() if problem}
    if left_out:
        terminalreporter.section("left out on this machine")
        for name, problem in left_out.items():
            terminalreporter.write_line(f"{name}: {problem}")


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After the last test: no process of a cluster, and no file outside cache and state, is left."""
    surroundings = request.config.stash[SURROUNDINGS]
    yield
    problems = [*surroundings.processes_left(), *surroundings.files_left()]
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def embedded_clusters(nothing_is_left: None) -> Iterator[EmbeddedClusters]:
    """The run's shared clusters; they end before the run looks for what it left."""
    clusters = EmbeddedClusters()
    yield clusters
    clusters.close()


def _chosen(config: pytest.Config) -> tuple[Tier, ...]:
    """The tiers that this run is about."""
    names = set(config.getoption("--tiers").split(","))
    if unknown := names - {tier.name for tier in TIERS}:
        raise pytest.UsageError(f"--tiers names {', '.join(sorted(unknown))}, which is no tier.")
    return tuple(tier for tier in TIERS if tier.name in names)


def _state(problem: str) -> str:
    return f"left out: {problem}" if problem else "runs"


def _is_sandboxed(item: pytest.Item) -> bool:
    """Whether a test runs at the sandboxed level, as the value of one of its parameters says."""
    call = getattr(item, "callspec", None)
    return call is not None and "sandboxed" in call.params.values()
