"""docker-compose.yml: what docker-compose itself makes of it, and that it fits the code."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from infra.settings import PREFIX, Settings, load_settings
from streams.topology import ROLES

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
SECRETS = {"POSTGRES_PASSWORD": "dummy-password", "QDRANT_API_KEY": "dummy-key"}
ROLE_NAMES = [role.name for role in ROLES]
STORES = ["kafka", "qdrant", "postgres"]


def command() -> list[str]:
    """Debian's docker-compose, or else the plugin of the docker command."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    pytest.skip("neither docker-compose nor docker's compose plugin is here (Debian: apt-get install docker-compose)")


def config(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    (folder / "none.env").touch()  # a developer's own .env must not decide
    call = [*command(), "--env-file", str(folder / "none.env"), "--file", str(FILE), "config"]
    bare = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return subprocess.run(call, env=bare | environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def composed(tmp_path_factory):
    done = config(tmp_path_factory.mktemp("compose"), SECRETS)
    assert done.returncode == 0, done.stderr
    made = yaml.safe_load(done.stdout)
    # What only runs for those who ask for it is tested in test_watching.py; docker-compose 1 shows it all the same.
    made["services"] = {name: one for name, one in made["services"].items() if "profiles" not in one}
    return made


@pytest.fixture(scope="module")
def written():
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("secret", SECRETS)
def test_docker_compose_refuses_the_file_while_a_secret_is_missing_and_names_it(tmp_path, secret):
    done = config(tmp_path, {name: value for name, value in SECRETS.items() if name != secret})
    assert done.returncode != 0
    assert f"{secret} is not set; set it in .env" in done.stderr


def test_docker_compose_accepts_the_file(composed):
    assert set(composed["services"]) == {*STORES, *ROLE_NAMES}


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_every_role_has_a_service_that_runs_and_checks_it(composed, role):
    service = composed["services"][role]
    assert service["command"] == ["qualstream", "up", "--role", role]
    assert service["healthcheck"]["test"] == ["CMD", "qualstream", "status", "--role", role, "--check"]
    assert {name: wait["condition"] for name, wait in service["depends_on"].items()} == dict.fromkeys(
        STORES, "service_healthy"
    )


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_the_environment_of_every_role_makes_settings(composed, role, monkeypatch):
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    for name, value in composed["services"][role]["environment"].items():
        if name.startswith(PREFIX):
            monkeypatch.setenv(name, str(value))
    settings = load_settings()
    assert settings.kafka_servers == ["kafka:9092"]
    assert settings.store_url == "postgresql+psycopg://qualstream:dummy-password@postgres:5432/qualstream"
    assert settings.index_url == "http://qdrant:6333"


def test_gpus_are_reserved_for_coders_and_moderator_alone(composed):
    reserved = {name for name, service in composed["services"].items() if "devices" in str(service.get("deploy", ""))}
    assert reserved == {"coders", "moderator"}
    for name in reserved:
        (device,) = composed["services"][name]["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"]
        assert composed["services"][name]["build"]["args"] == {"TORCH_BUILD": "cuda"}


def test_every_service_restarts_is_checked_and_keeps_its_data_in_a_named_volume(composed):
    for name, service in composed["services"].items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"], name
        mounts = [mount["source"] if isinstance(mount, dict) else mount.split(":")[0] for mount in service["volumes"]]
        assert set(mounts) & set(composed["volumes"]), name


def test_no_service_opens_a_port_to_the_outside_and_the_page_s_is_open_on_this_machine_alone(composed):
    opened = {name: service["ports"] for name, service in composed["services"].items() if "ports" in service}
    assert set(opened) == {"web"}
    (port,) = opened["web"]
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", 8642) if isinstance(port, dict) else "127.0.0.1:" in port


def test_images_are_pinned_by_a_version(written):
    for service in written["services"].values():
        assert re.search(r":v?\d+\.\d+", service["image"]), service["image"]


def test_every_variable_of_ours_is_a_setting_and_every_setting_can_be_given():
    ours = set(re.findall(rf"{PREFIX}\w+", FILE.read_text(encoding="utf-8")))
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    assert ours <= known
    assert known - ours == {f"{PREFIX}INSTANCE"}  # the container's own name


def test_every_variable_of_the_example_is_used_and_empty():
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(given.values()) == {""}
    assert set(given) <= set(re.findall(r"\$\{(\w+)", FILE.read_text(encoding="utf-8")))
    assert set(SECRETS) <= set(given)


def test_no_secret_is_written_into_the_files(written):
    for name, service in written["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|KEY$|SECRET|TOKEN", variable):
                assert re.fullmatch(r"\$\{\w+:[?-][^}]*\}", str(value)), f"{name}: {variable}"
                assert ":-" not in str(value) or str(value).endswith(":-}"), f"{name}: {variable}"
    dockerfile = (ROOT / "infra" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert not re.search("PASSWORD|SECRET|TOKEN|API_KEY", dockerfile)


def test_the_image_runs_as_a_user_of_its_own():
    lines = (ROOT / "infra" / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert [line.split()[1] for line in lines if line.startswith("USER ")] == ["qualstream"]
    assert any(line.startswith("HEALTHCHECK") for line in lines)
