"""Progress in a log, where nothing is repainted: a line when something changes, and seldom when nothing does."""

import io

from rich.console import Console

from infra.local import live_view
from infra.storage.store import open_store


def test_a_log_says_what_changes_and_seldom_what_stays(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(live_view.time, "monotonic", lambda: now[0])
    said = io.StringIO()
    view = live_view.View(open_store(f"sqlite:///{tmp_path / 'store.db'}"), "demo", Console(file=said, width=200))

    def lines(state, done, seconds):
        before = len(said.getvalue().splitlines())
        for _ in range(seconds):
            now[0] += 1
            view.show(state, done, 200)
        return len(said.getvalue().splitlines()) - before

    assert lines("starting: coders, router", 0, 1) == 1
    assert lines("starting: coders, router", 0, 65) == 2
    assert lines("starting: coders", 0, 1) == 1  # at once
    assert lines("coding", 1, 1) == 1
    assert lines("coding", 2, 5) == 0
    assert lines("coding", 3, 1) == 1
    assert "coding" in said.getvalue().splitlines()[-1]
    assert "3/200" in said.getvalue().splitlines()[-1]
