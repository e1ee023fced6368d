"""A module for every row of the topology, and a row for every module."""

import subprocess
import sys

import pytest

from infra.local.stack import CODING
from infra.roles.registry import MODULES, find_role
from infra.settings import load_settings
from models.backends.token_usage import TokenUsage
from streams.topology import ROLES
from tests.integration.stack import FAKES

NOBODY = "127.0.0.1:1"
"""Where no broker is."""

BESIDE = {"__init__", "deaths", "definition", "outbox_delivery", "registry", "run", "seats"}
"""What stands beside the roles in their folder."""


def test_the_registry_has_the_topology_s_roles_in_its_order():
    assert list(MODULES) == [role.name for role in ROLES]


def test_the_folder_holds_a_module_for_every_role_and_no_other(request):
    folder = request.config.rootpath / "infra" / "roles"
    assert {path.stem for path in folder.glob("*.py")} - BESIDE == set(MODULES)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_s_module_defines_the_role_that_it_is_named_after(role):
    definition = find_role(role.name)
    assert definition.name == role.name
    assert MODULES[role.name] == f"infra.roles.{role.name}"


@pytest.mark.parametrize("role", [role for role in ROLES if role.reads], ids=lambda role: role.name)
def test_a_stage_is_built_without_a_broker_and_reads_the_side_topics_of_the_topology(role, tmp_path):
    stage = find_role(role.name).build_stage(
        load_settings(data_dir=tmp_path, profile=str(FAKES), kafka_url=NOBODY), TokenUsage()
    )
    assert set(stage.side_inputs()) == {topic.name for topic in role.side_inputs}
    assert set(stage.initial_inputs()) | set(stage.recalls()) <= {topic.name for topic in role.topics}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_whoever_reads_topics_in_batches_is_built_as_a_stage(role):
    assert (find_role(role.name).build_stage is not None) == bool(role.reads)


def test_the_trainer_the_monitor_and_the_page_are_for_people_and_the_rest_code():
    assert [role.name for role in ROLES if role.for_people] == ["trainer", "monitor", "web"]
    assert CODING == ("ingest", "coders", "moderator", "refiner", "router", "recorder")


def test_only_coders_may_be_split_by_members():
    assert [role.name for role in ROLES if role.has_members] == ["coders"]


def test_a_process_loads_its_own_role_only():
    script = "import sys; from infra.roles.registry import find_role; find_role('ingest'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "infra.roles.ingest" in loaded
    assert loaded.isdisjoint({"fastapi", "uvicorn", "infra.roles.trainer", "infra.roles.monitor", "infra.roles.web"})
