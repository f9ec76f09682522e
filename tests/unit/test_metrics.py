"""The figures of nodes and containers: counted, written for Prometheus, read again, compared, and told."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab.addons.metrics import objects
from k8slab.addons.metrics.registration import metrics_registration
from k8slab.addons.metrics.scraper import kubelet_of, parse
from k8slab.addons.metrics.store import Batch, MetricsStore, Point
from k8slab.addons.metrics.store import Use as Used
from k8slab.network.addresses import AddressPlan
from k8slab.node.kubelet_api.metrics import Sample, family, kubelet_metrics, resource_metrics
from k8slab.node.node_use import ContainerUse, NodeUse, PodUse, Use, summary
from k8slab.node.runtime.use_counter import Counter

NOW = 1_800_000_000.25

POD = PodUse(
    "web",
    "shop",
    "u1",
    [
        ContainerUse("main", NOW - 60, Use(NOW, 1.5, 20 << 20)),
        ContainerUse("side", NOW - 50, Use(NOW, 0.25, 4096)),
    ],
)
NODE = NodeUse("worker-1", NOW - 100, Use(NOW, 12.5, 64 << 20), [POD])


def test_a_counter_keeps_what_ended_processes_used_and_never_falls() -> None:
    counter = Counter()
    assert counter.advance({"a": 2.0, "b": 1.0}) == 3.0
    assert counter.advance({"a": 2.5}) == 3.5
    # A reading that dips, as when a child is counted late, is made up for before the sum grows again.
    assert counter.advance({"a": 2.4}) == 3.5
    assert counter.advance({"a": 2.6}) == pytest.approx(3.6)
    assert counter.advance({"a": 2.6, "b": 4.0}) == pytest.approx(7.6)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.floats(0, 1e6)), max_size=20))
def test_whatever_a_counter_is_told_it_never_falls(rounds: list[dict[str, float]]) -> None:
    counter, last = Counter(), 0.0
    for readings in rounds:
        total = counter.advance(readings)
        assert total >= last
        last = total


def test_the_summary_has_the_kubelets_fields() -> None:
    told = summary(NODE)
    assert told["node"]["cpu"]["usageCoreNanoSeconds"] == 12_500_000_000
    (pod,) = told["pods"]
    assert pod["podRef"] == {"name": "web", "namespace": "shop", "uid": "u1"}
    assert pod["cpu"]["usageCoreNanoSeconds"] == 1_750_000_000
    assert pod["memory"]["workingSetBytes"] == (20 << 20) + 4096
    assert [each["name"] for each in pod["containers"]] == ["main", "side"]


def test_resource_metrics_are_written_as_a_kubelet_writes_them() -> None:
    lines = resource_metrics(NODE).splitlines()
    labels = '{container="main",namespace="shop",pod="web"}'
    assert f"container_cpu_usage_seconds_total{labels} 1.5 1800000000250" in lines
    assert f"container_memory_working_set_bytes{labels} 20971520 1800000000250" in lines
    assert f"container_start_time_seconds{labels} 1799999940.25" in lines
    assert 'pod_cpu_usage_seconds_total{namespace="shop",pod="web"} 1.75 1800000000250' in lines
    assert "node_cpu_usage_seconds_total 12.5 1800000000250" in lines
    assert "# TYPE node_cpu_usage_seconds_total counter" in lines
    assert "scrape_error 0" in lines and "resource_scrape_error 0" in lines


def test_what_could_not_be_measured_is_an_error_and_no_figure() -> None:
    lines = resource_metrics(None).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "resource_scrape_error 1",
        "scrape_error 1",
    ]


def test_a_metric_without_values_is_left_out_and_labels_are_escaped() -> None:
    assert family("x", "gauge", "text", []) == ""
    assert 'x{a="\\"b\\\\\\n"} 1' in family("x", "gauge", "text", [Sample({"a": '"b\\\n'}, 1)])


def test_the_kubelets_own_metrics_count_what_runs() -> None:
    lines = kubelet_metrics(NODE, 0.5).splitlines()
    assert 'kubelet_running_containers{container_state="running"} 2' in lines
    assert "kubelet_running_pods 1" in lines and "process_cpu_seconds_total 0.5" in lines


def test_what_a_kubelet_writes_is_read_as_it_was() -> None:
    node, pods = parse(resource_metrics(NODE))
    assert node == Point(NOW, 12.5, 64 << 20)
    assert pods == {
        ("shop", "web"): {
            "main": Point(NOW, 1.5, 20 << 20, NOW - 60),
            "side": Point(NOW, 0.25, 4096, NOW - 50),
        }
    }
    assert parse(resource_metrics(None)) == (None, {})


def test_a_pod_of_which_a_figure_is_missing_is_not_read() -> None:
    text = resource_metrics(NODE)
    torn = "\n".join(
        line
        for line in text.splitlines()
        if not line.startswith('container_memory_working_set_bytes{container="side"')
    )
    assert parse(torn)[1] == {}


def test_where_a_kubelet_listens() -> None:
    addresses = [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.7.255.11"}]
    status: dict[str, Any] = {"addresses": addresses}
    assert kubelet_of({"status": status}) is None
    status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": 10250}}
    assert kubelet_of({"status": status}) == ("10.7.255.11", 10250)
    assert kubelet_of({}) is None


def batch(moment: float, **containers: Point) -> Batch:
    return Batch({"n": Point(moment, moment, 1000)}, {("shop", "web"): containers})


def test_a_use_is_the_difference_of_two_measurements() -> None:
    store = MetricsStore()
    store.put(batch(100, main=Point(100, 2.0, 10, 50)))
    assert store.node("n") is None and store.pod("shop", "web") == {}
    store.put(batch(105, main=Point(105, 3.0, 20, 50)))
    assert store.node("n") == Used(105, 5, 1.0, 1000)
    assert store.pod("shop", "web") == {"main": Used(105, 5, 0.2, 20)}
    store.put(batch(105, main=Point(105, 3.0, 20, 50)))
    assert store.pod("shop", "web") == {"main": Used(105, 5, 0.2, 20)}, "a stale answer changes nothing"
    store.put(Batch())
    assert store.node("n") is None and store.pod("shop", "web") == {}


def test_a_pod_is_told_only_when_each_container_has_two_measurements_of_one_run() -> None:
    store = MetricsStore()
    store.put(batch(100, main=Point(100, 2.0, 10, 50)))
    store.put(batch(105, main=Point(105, 3.0, 10, 50), side=Point(105, 0.1, 10, 104)))
    assert store.pod("shop", "web") == {}
    store.put(batch(110, main=Point(110, 4.0, 10, 50), side=Point(110, 0.2, 10, 104)))
    assert store.pod("shop", "web").keys() == {"main", "side"}
    # Restarted in between: the new run has one measurement.
    store.put(batch(115, main=Point(115, 0.5, 10, 112), side=Point(115, 0.3, 10, 104)))
    assert store.pod("shop", "web") == {}
    store.put(batch(120, main=Point(120, 1.0, 10, 112), side=Point(120, 0.4, 10, 104)))
    assert store.pod("shop", "web")["main"].cpu == pytest.approx(0.1)


def test_a_counter_that_fell_says_nothing() -> None:
    store = MetricsStore()
    store.put(batch(100, main=Point(100, 2.0, 10, 50)))
    store.put(batch(105, main=Point(105, 1.0, 10, 50)))
    assert store.pod("shop", "web") == {}


@pytest.mark.parametrize(
    ("cores", "text"),
    [(0.0, "0"), (0.001, "1m"), (0.25, "250m"), (2.0, "2"), (0.000012345, "12345n"), (0.000012, "12u")],
)
def test_cores_are_quantities_in_canonical_form(cores: float, text: str) -> None:
    assert objects.cores(cores) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0"), (1, "1"), (1536, "1536"), (9152 << 10, "9152Ki"), (8 << 20, "8Mi")]
)
def test_bytes_are_binary_quantities_in_canonical_form(amount: int, text: str) -> None:
    assert objects.binary(amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5.004, "5.004s"), (15.0, "15s"), (0.8, "800ms"), (60.5, "1m0.5s"), (3600, "1h0m0s"), (0, "0s")],
)
def test_a_window_is_written_as_go_writes_it(seconds: float, text: str) -> None:
    assert objects.duration(seconds) == text


def test_a_pods_moment_is_that_of_its_first_measurement() -> None:
    uses = {"main": Used(NOW, 5.0, 0.25, 1 << 20), "side": Used(NOW - 10, 4.0, 0.0, 1 << 20)}
    metadata = {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "uid": "u1"}
    item = objects.pod_metrics(metadata, uses, NOW)
    assert (item["timestamp"], item["window"]) == ("2027-01-15T07:59:50Z", "4s")
    assert item["containers"][0] == {"name": "main", "usage": {"cpu": "250m", "memory": "1Mi"}}
    assert item["metadata"]["labels"] == {"app": "web"} and "uid" not in item["metadata"]
    row = objects.table([(item, list(uses.values()))])["rows"][0]
    assert row["cells"] == ["web", "250m", "2Mi", "4s"]


def test_both_forms_of_discovery_tell_the_same_resources() -> None:
    (group,) = objects.aggregated_discovery()["items"]
    modern = {each["resource"]: each["responseKind"]["kind"] for each in group["versions"][0]["resources"]}
    classic = {each["name"]: each["kind"] for each in objects.api_resource_list()["resources"]}
    assert modern == classic == {"nodes": "NodeMetrics", "pods": "PodMetrics"}


def test_the_registration_leads_to_the_add_ons_address() -> None:
    plan = AddressPlan(7)
    made = {body["kind"]: body for _, body in metrics_registration(plan, b"PEM")}
    assert "selector" not in made["Service"]["spec"]
    assert made["EndpointSlice"]["endpoints"][0]["addresses"] == [plan.addons] == ["10.7.255.2"]
    assert base64.b64decode(made["APIService"]["spec"]["caBundle"]) == b"PEM"
    assert "insecureSkipTLSVerify" not in made["APIService"]["spec"]
