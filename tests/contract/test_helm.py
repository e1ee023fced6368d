"""The Helm chart runs the roles and settings that there are; helm itself checks it where it is installed."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from infra.roles.registry import MODULES
from infra.settings import Settings, variable
from infra.web.health import PROBES

ROOT = Path(__file__).parents[2]
CHART = ROOT / "infra/helm/qualstream"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
TEMPLATES = {path.name: path.read_text(encoding="utf-8") for path in (CHART / "templates").iterdir()}
GIVEN = {
    "settings": {"kafka_url": "kafka:9092", "database_url": "postgresql://q@db/q", "qdrant_url": "http://qdrant:6333"},
    "existingSecret": "qualstream",
}


def test_the_chart_has_a_deployment_for_each_role_and_no_other():
    assert set(VALUES["roles"]) == set(MODULES)
    assert set(SCHEMA["properties"]["roles"]["propertyNames"]["enum"]) == set(MODULES)


def test_the_charts_version_of_the_program_is_the_programs():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["appVersion"] == project["version"]


def test_every_setting_of_the_chart_is_a_setting_and_none_is_a_secret():
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert set(VALUES["settings"]) <= set(Settings.model_fields)
    assert set(VALUES["settings"]) & (secret - {"database_url"}) == set()
    assert "@" not in str(VALUES["settings"]["database_url"])


def test_every_variable_that_a_template_sets_is_a_setting():
    known = {variable(field) for field in Settings.model_fields}
    named = set(re.findall(r"QUALSTREAM_[A-Z_]+\b", "\n".join(TEMPLATES.values()))) - {"QUALSTREAM_"}
    assert named <= known


def test_every_value_that_a_template_reads_has_a_default():
    for path in sorted(set(re.findall(r"\$?\.Values\.([\w.]+)", "\n".join(TEMPLATES.values())))):
        value = VALUES
        for part in path.split("."):
            if path == "settings.kafka_prefix":  # unset, there is none
                break
            assert part in value, path
            value = value[part]


def test_pods_may_do_no_more_than_they_need():
    roles = TEMPLATES["roles.yaml"]
    for line in (
        "runAsNonRoot: true",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "drop: [ALL]",
    ):
        assert line in roles
    assert "automountServiceAccountToken: false" in roles
    assert "startupProbe" in roles
    assert "livenessProbe" in roles
    assert "readinessProbe" in roles


def test_the_pages_probes_are_the_pages():
    assert {VALUES["web"]["livenessPath"], VALUES["web"]["readinessPath"]} == PROBES


def test_no_more_coders_are_started_than_there_are_partitions():
    assert VALUES["autoscaling"]["maxReplicas"] <= VALUES["settings"]["kafka_partitions"]
    assert "min .Values.autoscaling.maxReplicas .Values.settings.kafka_partitions" in TEMPLATES["autoscaling.yaml"]


def rendered(tmp_path: Path, values: dict) -> subprocess.CompletedProcess[str]:
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not installed")
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values), encoding="utf-8")
    command = [helm, "template", "q", str(CHART), "--values", str(file), "--kube-version", "1.31.0"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_helm_makes_each_role_with_all_options_on(tmp_path):
    options = {
        "autoscaling": {"enabled": True},
        "metrics": {"podMonitor": True},
        "web": {"ingress": {"enabled": True, "host": "codes.example.org", "tlsSecret": "tls"}},
        "profiles": {"mine.toml": "name = 'mine'"},
        "roles": {"coders": {"gpu": 1, "nodeSelector": {"gpu": "yes"}}},
    }
    done = rendered(tmp_path, GIVEN | options)
    assert done.returncode == 0, done.stderr
    made = [each for each in yaml.safe_load_all(done.stdout) if each]
    deployments = {each["metadata"]["name"]: each for each in made if each["kind"] == "Deployment"}
    assert set(deployments) == {f"q-{role}" for role in MODULES}
    (coder,) = deployments["q-coders"]["spec"]["template"]["spec"]["containers"]
    assert coder["image"] == "qualstream-gpu:0.1.0"
    assert coder["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert coder["command"] == ["qualstream", "up", "--role", "coders"]
    assert "replicas" not in deployments["q-coders"]["spec"]
    kinds = {each["kind"] for each in made}
    assert {"ScaledObject", "NetworkPolicy", "PodDisruptionBudget", "Ingress", "PodMonitor", "ConfigMap"} <= kinds


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "settings.kafka_url is not set"),
        (GIVEN | {"existingSecret": ""}, "existingSecret is not set"),
        (GIVEN | {"roles": {"koders": {"replicas": 1}}}, "koders"),
        (GIVEN | {"settings": {**GIVEN["settings"], "kafka_password": "x"}}, "kafka_password"),
    ],
    ids=["nothing", "no secret", "no such role", "a secret among the settings"],
)
def test_helm_refuses_what_cannot_run(tmp_path, values, told):
    done = rendered(tmp_path, values)
    assert done.returncode != 0
    assert told in done.stderr
