"""What watches the system names only what the system tells: dashboards, alert rules, scraping, and their services."""

import json
import re
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from infra.roles.registry import find_role
from infra.storage.store import open_store
from infra.telemetry.metrics import RoleMetrics, names
from streams.runner import Progress
from streams.topology import ROLES

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
DASHBOARDS = sorted((INFRA / "grafana" / "dashboards").glob("*.json"))
WATCHERS = {"prometheus", "grafana", "otel-collector", "tempo"}
BY_PROMETHEUS = {"up"}
GPU = {"qualstream_gpu_memory_bytes": {"role", "device", "kind"}}  # told only where there is one
TARGET = {"job", "instance", "role", "le"}  # from Prometheus, and a histogram's own
_SERIES = re.compile(r"\b((?:qualstream|process)_\w+|up)\b")
_SELECTED = re.compile(r"\b((?:qualstream|process)_\w+)\{([^}]*)\}")


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The series that the workers export, with their labels."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}")
    progress = Progress(last_commit_at=datetime.now(UTC), lags={"feedback": 1})
    every = dict(GPU)
    for role in ROLES:
        metrics = RoleMetrics(role.name, find_role(role.name).build_gauges(store.database), progress)
        every |= {name: set(labels) for name, labels in names(metrics).items()}
    yield every
    store.close()


@pytest.fixture(scope="module")
def composed():
    return read(ROOT / "docker-compose.yml")


def rules():
    (group,) = read(INFRA / "prometheus" / "alerts.yml")["groups"]
    return group["rules"]


def panels(path):
    return [panel for panel in json.loads(path.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]


def expressions():
    """Every expression with where it stands."""
    found = [pytest.param(rule["expr"], id=rule["alert"]) for rule in rules()]
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text(encoding="utf-8"))
        found += [
            pytest.param(target["expr"], id=f"{path.stem}: {panel['title']} {target['refId']}")
            for panel in panels(path)
            for target in panel["targets"]
        ]
        found += [
            pytest.param(one["expr"], id=f"{path.stem}: {one['name']}") for one in dashboard["annotations"]["list"]
        ]
        found += [pytest.param(one["definition"], id=f"${one['name']}") for one in dashboard["templating"]["list"]]
    return found


@pytest.mark.parametrize("expression", expressions())
def test_every_series_that_is_looked_at_is_one_that_the_workers_export(told, expression):
    named = set(_SERIES.findall(expression))
    assert named, "it looks at nothing"
    assert named <= told.keys() | BY_PROMETHEUS


@pytest.mark.parametrize("expression", expressions())
def test_every_expression_closes_what_it_opens_and_selects_by_labels_that_there_are(told, expression):
    opened = []
    for sign in re.sub(r'"[^"]*"', "", expression):
        if sign in "([{":
            opened.append(")]}"["([{".index(sign)])
        elif sign in ")]}":
            assert opened.pop() == sign
    assert not opened
    for series, selected in _SELECTED.findall(expression):
        assert set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selected)) <= told[series] | TARGET


def test_no_label_has_values_without_bound(told):
    assert set.union(*told.values()) <= {"role", "topic", "device", "kind", "le"}


def test_every_role_is_scraped_on_the_port_that_the_compose_file_gives_it(composed):
    (job,) = [
        one
        for one in read(INFRA / "prometheus" / "prometheus.yml")["scrape_configs"]
        if one["job_name"] == "qualstream"
    ]
    (found,) = job["dns_sd_configs"]
    assert {role.name for role in ROLES} <= set(found["names"])
    assert len(found["names"]) == len(set(found["names"]))
    assert found["port"] == composed["x-settings"]["QUALSTREAM_METRICS_PORT"]
    assert job["relabel_configs"] == [{"source_labels": ["__meta_dns_name"], "target_label": "role"}]


def test_every_rule_says_how_bad_it_is_and_what_to_do():
    assert {"WorkerDown", "LagGrows", "NoCommit", "DeadLetters", "SlowCoding", "DriftUnseen"} <= {
        rule["alert"] for rule in rules()
    }
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["what_to_do"], rule["alert"]
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "0m")), rule["alert"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_read_and_its_panels_lie_side_by_side(path):
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    sources = {
        one["uid"]
        for one in read(INFRA / "grafana" / "provisioning" / "datasources" / "datasources.yml")["datasources"]
    }
    assert dashboard["uid"]
    assert dashboard["title"]
    assert dashboard["schemaVersion"] >= 39
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels(path):
        assert panel["title"]
        assert panel["description"]
        assert {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])} <= sources
    for panel in dashboard["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in dashboard["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


def test_dashboards_have_names_of_their_own():
    assert len(DASHBOARDS) == len({json.loads(path.read_text(encoding="utf-8"))["uid"] for path in DASHBOARDS}) == 2


def test_what_watches_runs_only_for_those_who_ask_and_is_open_on_this_machine_alone(composed):
    watchers = {name: one for name, one in composed["services"].items() if "profiles" in one}
    assert set(watchers) == WATCHERS
    assert all(one["profiles"] == ["watch"] and one["restart"] == "unless-stopped" for one in watchers.values())
    opened = {name: one["ports"] for name, one in watchers.items() if "ports" in one}
    assert set(opened) == {"grafana"}
    assert all(port.startswith("127.0.0.1:") for port in opened["grafana"])


def test_every_file_that_is_mounted_is_there_and_every_service_is_asked_for_by_its_name(composed):
    for name in WATCHERS:
        for mount in composed["services"][name]["volumes"]:
            source = mount.split(":")[0]
            assert (ROOT / source).is_dir() if source.startswith("./") else source in composed["volumes"], mount
    asked = {"prometheus": "prometheus.yml", "otel-collector": "collector.yml", "tempo": "tempo.yml"}
    for name, file in asked.items():
        mounts = [mount.split(":") for mount in composed["services"][name]["volumes"]]
        (command,) = [part for part in composed["services"][name]["command"] if "config" in part]
        folder, _, wanted = command.partition("=")[2].rpartition("/")
        assert wanted == file
        assert [Path(source) for source, target, *_ in mounts if target == folder] == [
            Path("./infra") / ("prometheus" if name == "prometheus" else "otel")
        ]
        assert (INFRA / ("prometheus" if name == "prometheus" else "otel") / file).is_file()


def test_spans_go_from_the_collector_to_the_store_that_grafana_asks():
    collector = read(INFRA / "otel" / "collector.yml")
    tempo = read(INFRA / "otel" / "tempo.yml")
    pipeline = collector["service"]["pipelines"]["traces"]
    assert set(pipeline["receivers"]) <= collector["receivers"].keys()
    assert set(pipeline["processors"]) <= collector["processors"].keys()
    (exporter,) = pipeline["exporters"]
    port = tempo["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    assert collector["exporters"][exporter]["endpoint"] == f"http://tempo:{port}"
    sources = {
        one["uid"]: one
        for one in read(INFRA / "grafana" / "provisioning" / "datasources" / "datasources.yml")["datasources"]
    }
    assert sources["tempo"]["url"] == f"http://tempo:{tempo['server']['http_listen_port']}"
    assert sources["prometheus"]["url"] == "http://prometheus:9090"
