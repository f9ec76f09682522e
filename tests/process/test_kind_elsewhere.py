"""An engine on another machine, whose ports are out of reach: seen before anything is made, with one cure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from k8slab.cluster import doctor, engine_place
from k8slab.cluster.choose import choose_backend
from k8slab.cluster.container_engine import find_engine
from k8slab.cluster.engine_place import is_here
from k8slab.cluster.kind.backend import open_kind
from k8slab.cluster.kind.cures import engine_cure
from k8slab.clusters import cluster_names, find_cluster
from k8slab.errors import LabError
from k8slab.progress import SilentProgress
from tests.process.kind_standins import StandIns


@pytest.mark.parametrize("address", ["tcp://10.0.0.7:2376", "ssh://me@far", "tcp://docker:2375"])
def test_an_address_of_another_machine_is_refused_before_it_is_asked(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    engine, seen = find_engine()
    assert engine is None
    assert f"docker: on another machine ({address}, by DOCKER_HOST), whose ports are out of reach" in seen
    assert "Unset DOCKER_HOST" in engine_cure(seen)
    assert set(stand_ins.verbs("docker")) <= {"context inspect", "container inspect"}


def test_a_context_that_was_chosen_is_named(stand_ins: StandIns) -> None:
    stand_ins.change(context=["far", "ssh://me@far"])
    with pytest.raises(
        LabError, match=r"on another machine \(ssh://me@far, by the docker context far\)"
    ) as caught:
        open_kind("lab", 1, False, SilentProgress())
    assert "docker context use default" in caught.value.cure
    assert stand_ins.calls("kind") == []


def test_a_lab_takes_the_embedded_backend_and_doctor_says_why(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("K8SLAB_BACKEND", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@far")
    choice = choose_backend()
    assert choice.backend == "embedded"
    assert "on another machine (ssh://me@far" in choice.reason
    (told,) = [each for each in doctor.examine() if each.subject == "kind"]
    assert "on another machine" in told.seen
    assert told.cure.startswith("Unset DOCKER_HOST")


def test_an_engine_of_this_machine_is_taken_where_another_one_leads_away(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_ins.install("podman")
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.7:2376")
    engine, _ = find_engine()
    assert engine is not None
    assert engine.name == "podman"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:2375", "unix:///home/me/.colima/docker.sock"])
def test_an_address_of_this_machine_is_no_obstacle(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    assert find_engine()[0] is not None


def test_podman_that_is_called_from_afar_is_refused_and_its_machine_is_not(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stand_ins.bin / "docker").unlink()
    stand_ins.install("podman")
    monkeypatch.setenv("CONTAINER_HOST", "ssh://me@10.0.0.7:22/run/podman/podman.sock")
    engine, seen = find_engine()
    assert engine is None
    assert "Unset CONTAINER_HOST" in engine_cure(seen)
    monkeypatch.setenv("CONTAINER_HOST", "ssh://core@127.0.0.1:38235/run/user/1000/podman/podman.sock")
    assert find_engine()[0] is not None


def test_a_named_connection_of_podmans_is_looked_up(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stand_ins.bin / "docker").unlink()
    stand_ins.install("podman")
    known = [
        {"Name": "far", "URI": "ssh://me@10.0.0.7:22/run/podman/podman.sock", "Default": False},
        {"Name": "podman-machine-default", "URI": "ssh://core@127.0.0.1:38235/run/x", "Default": True},
    ]
    stand_ins.change(connections=json.dumps(known))
    monkeypatch.setenv("CONTAINER_CONNECTION", "far")
    assert "by CONTAINER_CONNECTION" in find_engine()[1]
    monkeypatch.setenv("CONTAINER_CONNECTION", "podman-machine-default")
    assert find_engine()[0] is not None


def test_the_engine_that_runs_the_container_which_this_is_is_elsewhere(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    monkeypatch.setattr(engine_place, "_CONTAINER_MARKS", (mark,))
    assert find_engine()[0] is not None
    stand_ins.change(around_us="bridge")
    engine, seen = find_engine()
    assert engine is None
    assert "--network host" in engine_cure(seen)
    stand_ins.change(around_us="host")
    assert find_engine()[0] is not None


def test_a_cluster_on_another_local_engine_is_neither_forgotten_nor_taken_for_a_strangers(
    stand_ins: StandIns,
) -> None:
    there = stand_ins.state()["info"]
    stand_ins.change(info={**there, "ID": "one"})
    first = open_kind("lab", 1, False, SilentProgress())
    of_the_first = stand_ins.state()["containers"]
    # As `docker context use` does: the same client, another engine, none of its containers.
    stand_ins.change(info={**there, "ID": "two"}, containers={})
    second = open_kind("lab", 1, False, SilentProgress())
    assert second.uuid != first.uuid
    assert cluster_names() == ["lab"]
    second.delete()
    assert cluster_names() == ["lab"]
    assert find_cluster("lab") is None
    stand_ins.change(info={**there, "ID": "one"}, containers=of_the_first)
    again = find_cluster("lab")
    assert again is not None
    assert again.uuid == first.uuid
    assert again.kubeconfig.exists()
    again.delete()
    assert cluster_names() == []


def test_what_is_no_address_is_left_to_the_engine() -> None:
    assert is_here("ssh://[")
    assert is_here("npipe:////./pipe/docker_engine")
    assert not is_here("tcp://host.docker.internal:2375")
