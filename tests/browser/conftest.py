"""A real JupyterLab on loopback and a headless Chromium, for tests that click.

`K8SLAB_TEST_KERNEL_PATH` names a folder put in front of the kernels' import path, so that the same tests
run with another ipykernel.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.browser.busy_cell import BusyCell
from tests.browser.script_errors import ScriptErrors
from tests.tiers import CHROMIUM_PROGRAMS

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "test-artifacts"
WAIT_SECONDS = 180
"""How long anything is waited for: a browser, a kernel and a cluster may share two busy processors."""
TEST_SECONDS = 1200
"""How long a test may last in which nothing hangs."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


expect.set_options(timeout=WAIT_SECONDS * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder time enough to wait in."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


def until(condition: Callable[[], T], what: str, seconds: float = WAIT_SECONDS) -> T:
    """Wait until a condition is true and return its value; fail with what was seen last."""
    deadline = time.monotonic() + seconds
    seen: T | None = None
    while time.monotonic() < deadline:
        seen = condition()
        if seen:
            return seen
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}; last seen: {seen!r}")


def until_equal(read: Callable[[], object], wanted: object, what: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait until what is read is what is wanted; fail with both.

    What a page shows comes a moment after what made it so: a cell's end, another fact of the same cluster.
    """
    deadline = time.monotonic() + seconds
    while (seen := read()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert seen == wanted, what


class Jupyter:
    """A JupyterLab server with a random token, its own folders and no news.

    Args:
        folder: for everything it writes.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.data = folder / "data"
        self.token = secrets.token_hex(16)
        config = folder / "config"
        (config / "labconfig").mkdir(parents=True)
        disabled = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
        (config / "labconfig" / "page_config.json").write_text(json.dumps(disabled))
        path = [os.environ.get("K8SLAB_TEST_KERNEL_PATH", ""), str(ROOT)]
        environment = {
            **os.environ, "HOME": str(folder), "JUPYTER_TOKEN": self.token, "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_DATA_DIR": str(self.data), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"), "IPYTHONDIR": str(folder / "ipython"),
            "PYTHONPATH": os.pathsep.join(part for part in path if part),
        }  # fmt: skip
        self.log = folder / "jupyter.log"
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
                 "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.root_dir={self.root}",
                 "--LabApp.expose_app_in_browser=True",
                 "--JupyterNotebookApp.expose_app_in_browser=True"],
                env=environment, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True, cwd=self.root,
            )  # fmt: skip
        found = until(
            lambda: list((folder / "runtime").glob("jpserver-*.json")), f"the server; see {self.log}"
        )
        self.port = int(json.loads(found[0].read_text())["port"])

    def address(self, path: str) -> str:
        """The address of a page of the server, with its token."""
        return f"http://127.0.0.1:{self.port}/{path}?reset&token={self.token}"

    def add_kernel(self, name: str, packages: Path) -> None:
        """Let the server offer another kernel of this interpreter.

        Args:
            name: under which a notebook asks for it.
            packages: a folder that goes in front of the kernel's import path.
        """
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": command, "display_name": name, "language": "python",
                "env": {"PYTHONPATH": os.pathsep.join([str(packages), str(ROOT)])}}  # fmt: skip
        folder = self.data / "kernels" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kernel.json").write_text(json.dumps(spec))

    def stop(self) -> None:
        """End the server and its kernels."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(5)


class Notebook:
    """One notebook, open in a page of the browser.

    Args:
        page: the browser's page.
        jupyter: the server.
        name: the notebook's file name.
        cells: the source of its cells.
        kernel: the name of the kernel it asks for.
        app: the path of the pages that open a file: JupyterLab's, or `notebooks` for Notebook 7.
    """

    def __init__(
        self,
        page: Page,
        jupyter: Jupyter,
        name: str,
        cells: list[str],
        kernel: str = "python3",
        app: str = "lab/tree",
    ) -> None:
        self.page = page
        self.path = jupyter.root / name
        self._address = jupyter.address(f"{app}/{quote(name)}")
        empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        parts = [{**empty, "id": f"c{i}", "source": source} for i, source in enumerate(cells)]
        metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
        self.path.write_text(
            json.dumps({"cells": parts, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
        )
        self.load()

    def load(self) -> None:
        """Open the notebook, or load its page again, and wait for the kernel."""
        self.page.goto(self._address)
        self.page.wait_for_function(
            "() => { const k = window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel;"
            " return k && ['idle', 'busy'].includes(k.status) && k.connectionStatus === 'connected'; }"
        )
        self.page.evaluate(
            "() => { const shell = window.jupyterapp.shell; shell.collapseLeft(); shell.collapseRight?.(); }"
        )

    def start(self, index: int) -> None:
        """Start one cell, as Ctrl+Enter does, and return at once."""
        self.page.evaluate(
            "i => { const app = window.jupyterapp; const notebook = app.shell.currentWidget.content;"
            " notebook.activeCellIndex = i; notebook.deselectAll();"
            " app.commands.execute('notebook:run-cell'); }",
            index,
        )

    def run(self, index: int) -> None:
        """Run one cell and wait for its end."""
        before = self.count(index)
        self.start(index)
        until(lambda: self.count(index) not in (before, None), f"cell {index} to end", 2 * WAIT_SECONDS)

    def count(self, index: int) -> int | None:
        """The execution count of a cell; None while it runs."""
        count: int | None = self.page.evaluate(
            "i => { const cell = window.jupyterapp.shell.currentWidget.content.widgets[i].model;"
            " return cell.executionState === 'running' ? null : cell.executionCount; }",
            index,
        )
        return count

    def output(self, index: int) -> str:
        """The text that a cell shows."""
        return self.page.locator(".jp-Cell").nth(index).locator(".jp-OutputArea").inner_text()

    def shows(self, index: int, part: str) -> None:
        """Wait until a cell shows that text: its end and its output reach the page one after the other."""
        until(lambda: part in self.output(index), f"cell {index} to show {part!r}")

    def theme(self, name: str) -> None:
        """Change JupyterLab's theme, such as `JupyterLab Dark`."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name
        )
        light = "false" if "Dark" in name else "true"
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")

    def live_map(self) -> Locator:
        """The live map, once it is drawn."""
        found = self.page.locator(".k8slab-map[data-width]").first
        found.wait_for()
        return found

    def settle(self) -> None:
        """Wait until nothing is being animated."""
        self.page.wait_for_function("() => document.getAnimations().every(a => a.playState !== 'running')")

    def frame(self) -> None:
        """Wait until the page has drawn what it has heard so far."""
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
        )

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def focused(self) -> str:
        """The spoken name of the element that has the focus."""
        name: str = self.page.evaluate("() => document.activeElement?.getAttribute('aria-label') ?? ''")
        return name

    def has_subshells(self) -> bool:
        """Whether the kernel says that it has subshells."""
        found: bool = self.page.evaluate(
            "async () => {"
            " const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;"
            " return (await kernel.info).supported_features?.includes('kernel subshells') ?? false; }"
        )
        return found

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """Run a function in the page."""
        return self.page.evaluate(script, argument)


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """One JupyterLab server for the tier."""
    server = Jupyter(tmp_path_factory.mktemp("jupyter"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium, the system's own."""
    program = next(found for name in CHROMIUM_PROGRAMS if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def known_errors() -> frozenset[str]:
    """Errors that an application's own scripts raise with or without us; none in JupyterLab."""
    return frozenset()


@pytest.fixture
def script_errors() -> ScriptErrors:
    """What the test's page failed with so far."""
    return ScriptErrors()


@pytest.fixture
def page(browser: Browser, known_errors: frozenset[str], script_errors: ScriptErrors) -> Iterator[Page]:
    """A page of its own for each test; errors of scripts fail the test."""
    context = browser.new_context(viewport={"width": 1480, "height": 2300})
    context.set_default_timeout(WAIT_SECONDS * 1000)
    opened = context.new_page()
    opened.on("pageerror", lambda error: script_errors.note(str(error)))
    yield opened
    context.close()
    unknown = [error for error in script_errors.seen if error not in known_errors]
    assert not unknown, f"errors of scripts in the page: {unknown}"


@pytest.fixture
def open_notebook(
    page: Page, jupyter: Jupyter, script_errors: ScriptErrors, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Notebook]]:
    """A function that opens a notebook of the given cells; its kernel is shut down afterwards.

    Other kernels than `python3` and other pages than JupyterLab's are named as `Notebook` names them.
    """
    opened: list[Notebook] = []

    def open_with(*cells: str, kernel: str = "python3", app: str = "lab/tree") -> Notebook:
        name = f"{request.node.name.split('[')[0]}-{len(opened)}.ipynb"
        notebook = Notebook(page, jupyter, name, list(cells), kernel, app)
        opened.append(notebook)
        return notebook

    yield open_with
    if opened:
        script_errors.ending = True
        page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")


@pytest.fixture
def busy(tmp_path: Path) -> BusyCell:
    """A cell that runs until the test ends it."""
    return BusyCell(tmp_path / "enough")


@pytest.fixture
def notes(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """What the scripted actions noted, read from their file."""
    file = tmp_path / "notes.jsonl"

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    return read
