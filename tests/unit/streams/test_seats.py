"""A worker's name in its group: its own while it runs, the same again when it is started again."""

from contextlib import ExitStack

from infra.roles.seats import member, seat
from infra.settings import load_settings


def settings(folder):
    return load_settings(data_dir=folder)


def test_workers_of_a_group_that_run_at_once_have_names_of_their_own(tmp_path):
    with ExitStack() as running:
        names = {running.enter_context(member(settings(tmp_path), "coders")) for _ in range(3)}
    assert len(names) == 3


def test_a_worker_that_is_started_again_has_the_name_that_became_free(tmp_path):
    with ExitStack() as others:
        others.enter_context(member(settings(tmp_path), "coders"))
        with member(settings(tmp_path), "coders") as name:
            pass
        others.enter_context(member(settings(tmp_path), "refiner"))
        with member(settings(tmp_path), "coders") as again:
            assert again == name


def test_a_spare_that_waits_takes_the_name_of_the_member_that_it_replaces(tmp_path):
    with seat(settings(tmp_path), "refiner"), seat(settings(tmp_path), "refiner") as spare:
        with member(settings(tmp_path), "refiner") as name:
            assert spare.number == 1
        with member(settings(tmp_path), "refiner") as replaced:
            assert replaced == name


def test_workers_on_other_data_folders_have_other_names(tmp_path):
    folders = tmp_path / "one", tmp_path / "two"
    with member(settings(folders[0]), "coders") as one, member(settings(folders[1]), "coders") as two:
        assert one != two


def test_a_name_is_made_of_characters_that_kafka_takes(tmp_path):
    with member(settings(tmp_path), "coders-päper/a b") as name:
        assert name.isascii()
        assert set(name) <= set("-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
