"""Two workers of one role on one host: each has a row of its own in what the store and `status` show."""

import json
import subprocess
import sys
from pathlib import Path

from tests.integration.stack import environment, reach, running, until, worker


def test_status_shows_each_process(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with (
        running(folder, roles=("coders",)) as (stack, store),
        worker("coders", folder, **reach(stack.cluster)) as other,
    ):
        until(lambda: len([one for one in store.workers() if one.role == "coders"]) == 2, stack)
        env = environment(folder, **reach(stack.cluster))
        line = [sys.executable, "-m", "infra.cli", "status", "--role", "coders", "--json"]
        done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=True)
        rows = [json.loads(row) for row in done.stdout.splitlines()]
        assert {row["pid"] for row in rows} == {stack.pids()["coders"], other.process.pid}
        assert len({row["instance"] for row in rows}) == 2
        assert all(row["alive"] for row in rows)
        assert [row["lag"] for row in rows] == [0, 0]


def test_a_second_refiner_on_one_index_folder_ends_as_a_wrong_setting_that_is_not_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running(folder, roles=("refiner",)) as (stack, store):
        until(lambda: any(one.role == "refiner" for one in store.workers()), stack)
        with worker("refiner", folder, **reach(stack.cluster)) as second:
            assert second.process.wait(timeout=60) == 2
        assert "is in use, and it takes one process; stop the other one, or use a Qdrant server" in second.said
