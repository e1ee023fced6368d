"""Accounts: passwords, roles, links, tokens, and how often one may try."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from infra.accounts.accounts import Accounts
from infra.accounts.attempts import TooManyAttempts
from infra.accounts.keys import SCOPES
from infra.storage.database import open_database
from infra.storage.tables import accounts as table
from infra.storage.tables import tokens
from models.errors import InputError
from models.fakes import HandClock

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
GOOD, OTHER = "correct horse battery", "four quiet green words"


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def database(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / 'people.db'}")
    yield opened
    opened.close()


@pytest.fixture
def accounts(database, clock):
    return Accounts(database, clock, CHEAP)


@pytest.fixture
def ana(accounts):
    made = accounts.create("ana")
    accounts.set_password(made, GOOD)
    return made


def stored(database):
    with database.reading() as connection:
        return connection.execute(select(table)).one()


def test_nobody_signs_in_before_a_password_is_set(accounts):
    accounts.create("ana")
    assert accounts.verify("ana", "") is None
    assert accounts.verify("ana", GOOD) is None


def test_a_name_and_its_password_sign_in_and_nothing_else_does(accounts, ana):
    assert accounts.verify("ana", GOOD).account == ana
    assert accounts.verify(" Ana ", GOOD).account == ana
    assert accounts.verify("ana", GOOD + " ") is None
    assert accounts.verify("ben", GOOD) is None


def test_the_password_is_kept_as_argon2id_and_made_anew_when_the_parameters_change(accounts, ana, database, clock):
    before = stored(database).password
    assert before.startswith("$argon2id$")
    stronger = Accounts(database, clock, PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert stronger.verify("ana", GOOD)
    after = stored(database).password
    assert "t=2" in after
    assert after != before
    assert stronger.verify("ana", GOOD)


def test_an_unknown_name_costs_a_hash_as_a_wrong_password_does(database, clock, ana):
    class Counting(PasswordHasher):
        verified = 0

        def verify(self, *args):
            self.verified += 1
            return super().verify(*args)

    counting = Counting(time_cost=1, memory_cost=8, parallelism=1)
    accounts = Accounts(database, clock, counting)
    for name in ("ana", "nobody"):
        accounts.verify(name, "wrong password")
    assert counting.verified == 2


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "at least 10"),
        ("x" * 201, "at most 200"),
        ("Password123", "first that anybody would try"),
        ("aaaaaaaaaaaa", "first that anybody would try"),
        ("ana1234567890", "little more than the name"),
    ],
)
def test_a_password_that_is_easily_guessed_is_refused_and_the_reason_told(accounts, ana, password, words):
    with pytest.raises(InputError, match=words):
        accounts.set_password(ana, password)
    assert accounts.verify("ana", GOOD)


@pytest.mark.parametrize("name", ["", "  ", "a\nb\u202e", "<b>", "x" * 61, "ana", "ANA"])
def test_a_name_that_is_taken_or_strange_is_refused(accounts, ana, name):
    with pytest.raises(InputError):
        accounts.create(name)


def test_roles_are_by_study_and_the_higher_includes_the_lower(accounts, ana):
    accounts.grant(ana, "reviews", "annotator")
    who = accounts.find(ana)
    assert who.may("viewer", "reviews")
    assert who.may("annotator", "reviews")
    assert not who.may("lead", "reviews")
    assert not who.may("viewer", "other")
    assert not who.may("viewer", None)
    accounts.grant(ana, "*", "lead")
    assert accounts.find(ana).may("lead", "other")
    accounts.revoke(ana, "*")
    assert not accounts.find(ana).may("viewer", "other")
    with pytest.raises(InputError):
        accounts.grant(ana, "a<b", "viewer")


def test_a_new_password_signing_out_and_disabling_each_begin_a_new_epoch(accounts, ana):
    epochs = [accounts.find(ana).epoch]
    accounts.set_password(ana, OTHER)
    epochs.append(accounts.find(ana).epoch)
    accounts.sign_out(ana)
    epochs.append(accounts.find(ana).epoch)
    accounts.disable(ana)
    assert accounts.find(ana) is None
    assert accounts.verify("ana", OTHER) is None
    accounts.disable(ana, False)
    epochs.append(accounts.find(ana).epoch)
    assert epochs == sorted(set(epochs))


# Links


def test_a_setup_link_works_once_and_only_its_digest_is_kept(accounts, database):
    made = accounts.create("ben")
    secret = accounts.keys.link(made)
    with database.reading() as connection:
        assert secret not in str(connection.execute(select(tokens)).all())
    assert accounts.linked(secret).name == "ben"
    with pytest.raises(InputError):
        accounts.set_by_link(secret, "short")
    assert accounts.set_by_link(secret, GOOD).account == made
    assert accounts.verify("ben", GOOD)
    assert accounts.linked(secret) is None
    with pytest.raises(InputError, match="used up"):
        accounts.set_by_link(secret, OTHER)
    assert accounts.verify("ben", OTHER) is None


def test_two_who_use_a_link_at_once_do_not_both_get_in(accounts):
    secret = accounts.keys.link(accounts.create("ben"))
    start, got = Barrier(2), []

    def use(password):
        start.wait()
        try:
            got.append(accounts.set_by_link(secret, password))
        except InputError:
            got.append(None)

    both = [Thread(target=use, args=(password,)) for password in (GOOD, OTHER)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(one is None for one in got) == [False, True]


def test_a_setup_link_ends_after_a_day_by_a_newer_one_and_by_a_password(accounts, clock):
    made = accounts.create("ben")
    first = accounts.keys.link(made)
    second = accounts.keys.link(made)
    assert accounts.linked(first) is None
    clock.advance(24 * 3600 - 1)
    assert accounts.linked(second) is not None
    clock.advance(2)
    assert accounts.linked(second) is None
    third = accounts.keys.link(made)
    accounts.set_password(made, GOOD)
    assert accounts.linked(third) is None


def test_the_first_link_is_for_an_admin_and_there_is_none_once_one_can_sign_in(accounts):
    link = accounts.first_link("http://127.0.0.1:8642/")
    again = accounts.first_link("http://127.0.0.1:8642/")
    base, _, secret = again.rpartition("/")
    assert base == "http://127.0.0.1:8642/setup"
    assert link != again
    assert [each.name for each in accounts.all()] == ["admin"]
    who = accounts.set_by_link(secret, GOOD)
    assert who.may("admin", None)
    assert accounts.first_link("http://127.0.0.1:8642") is None
    accounts.disable(who.account)
    assert accounts.first_link("http://127.0.0.1:8642") is not None


def test_an_account_that_is_called_admin_does_not_become_one_by_the_first_link(accounts):
    plain = accounts.create("admin")
    accounts.grant(plain, "reviews", "viewer")
    assert accounts.first_link("http://x") is not None
    assert not accounts.find(plain).may("admin", None)


# Tokens


def test_a_token_stands_for_its_account_until_it_is_revoked_or_ends(accounts, ana, clock, database):
    accounts.grant(ana, "reviews", "lead")
    keys = accounts.keys
    lasting, ending = keys.make_token(ana, "nightly"), keys.make_token(ana, "trial", timedelta(days=7), ["read"])
    with database.reading() as connection:
        assert lasting not in str(connection.execute(select(tokens)).all())
    who = accounts.by_token(lasting)
    assert (who.name, who.by_token, who.may("lead", "reviews")) == ("ana", True, True)
    assert who.scopes == set(SCOPES)
    assert accounts.by_token(ending).scopes == {"read"}
    with pytest.raises(InputError, match="at most"):
        keys.make_token(ana, "for ever", timedelta(days=4000))
    with pytest.raises(InputError, match="scopes"):
        keys.make_token(ana, "nothing", scopes=[])
    assert {token.name: token.used_at for token in keys.tokens(ana)} == {"nightly": clock.now(), "trial": clock.now()}
    clock.advance(8 * 24 * 3600)
    assert accounts.by_token(ending) is None
    assert accounts.by_token(lasting)
    (token,) = [one for one in keys.tokens(ana) if one.name == "nightly"]
    keys.revoke_token(accounts.create("ben"), token.id)
    assert accounts.by_token(lasting)
    keys.revoke_token(ana, token.id)
    assert accounts.by_token(lasting) is None
    default = keys.make_token(ana, "default")
    clock.advance(91 * 24 * 3600)
    assert accounts.by_token(default) is None


END = {
    "a new password": lambda accounts, ana: accounts.set_password(ana, OTHER),
    "a changed password": lambda accounts, ana: accounts.change_password(ana, GOOD, OTHER, "10.0.0.1"),
    "a password set by a link": lambda accounts, ana: accounts.set_by_link(accounts.keys.link(ana), OTHER),
    "signing out everywhere": lambda accounts, ana: accounts.sign_out(ana),
    "disabling": lambda accounts, ana: accounts.disable(ana),
    "enabling": lambda accounts, ana: accounts.disable(ana, False),
}


@pytest.mark.parametrize("event", END)
def test_sessions_and_tokens_end_for_good_with(accounts, ana, event):
    token = accounts.keys.make_token(ana, "nightly")
    accounts.sessions.open("a session", ana)
    epoch = accounts.find(ana).epoch
    assert accounts.by_session("a session", ana, epoch)
    END[event](accounts, ana)
    accounts.disable(ana, False)
    assert accounts.by_token(token) is None
    assert accounts.by_session("a session", ana, epoch) is None
    assert not accounts.sessions.holds("a session", ana)
    assert accounts.keys.tokens(ana) == []


def test_one_session_ends_without_the_others(accounts, ana):
    accounts.sessions.open("here", ana)
    accounts.sessions.open("there", ana)
    accounts.sessions.end("here")
    assert (accounts.sessions.holds("here", ana), accounts.sessions.holds("there", ana)) == (False, True)
    assert not accounts.sessions.holds("there", accounts.create("ben"))


def test_the_token_of_a_disabled_account_does_not_work_and_a_link_is_no_token(accounts, ana):
    token, link = accounts.keys.make_token(ana, "nightly"), accounts.keys.link(ana)
    assert accounts.by_token(link) is None
    assert accounts.linked(token) is None
    accounts.disable(ana)
    assert accounts.by_token(token) is None


# Attempts


def fail(accounts, times, name="ana", address="10.0.0.1"):
    for _ in range(times):
        with pytest.raises(InputError, match="wrong"):
            accounts.sign_in(name, "wrong password", address)


def wait_of(accounts, name="ana", address="10.0.0.1"):
    with pytest.raises(TooManyAttempts) as told:
        accounts.sign_in(name, GOOD, address)
    return told.value.wait_s


def test_failures_make_the_next_attempt_wait_longer_and_longer_and_never_more_than_a_quarter_of_an_hour(
    accounts, ana, clock
):
    fail(accounts, 5)
    waits = []
    for _ in range(14):
        waits.append(wait_of(accounts))
        clock.advance(waits[-1])
        fail(accounts, 1)
    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits == sorted(waits)
    assert waits[-1] == 900
    clock.advance(900)
    assert accounts.sign_in("ana", GOOD, "10.0.0.1").account == ana
    fail(accounts, 5)


def test_a_stranger_s_failures_do_not_keep_the_right_person_out(accounts, ana, clock):
    fail(accounts, 5)
    wait_of(accounts)
    assert accounts.sign_in("ana", GOOD, "10.0.0.2").account == ana


def attack(accounts, clock, addresses, rounds=60):
    """Try a password from each address again and again, as soon as it may."""
    for n in range(rounds):
        for address in addresses:
            try:
                accounts.sign_in("ana", f"guess {n}", address)
            except (InputError, TooManyAttempts):
                continue
        clock.advance(1)


@pytest.mark.parametrize(
    ("address", "device"), [("10.0.0.1", ""), ("10.9.9.9", "her laptop"), ("10.5.0.0", "her laptop")]
)
def test_strangers_keep_nobody_out_of_a_device_or_address_that_is_known(accounts, ana, clock, address, device):
    accounts.sign_in("ana", GOOD, "10.0.0.1", "her laptop")
    attack(accounts, clock, [f"10.5.0.{n}" for n in range(11)])
    assert wait_of(accounts, "ana", "10.2.0.1") <= 60
    assert accounts.sign_in("ana", GOOD, address, device).account == ana


def test_what_fails_at_a_known_place_has_to_wait_there_and_frees_no_other(accounts, ana):
    accounts.sign_in("ana", GOOD, "10.0.0.1", "her laptop")
    for _ in range(5):
        with pytest.raises(InputError):
            accounts.sign_in("ana", "wrong password", "10.3.0.1", "her laptop")
    with pytest.raises(TooManyAttempts):
        accounts.sign_in("ana", GOOD, "10.4.0.1", "her laptop")
    assert accounts.sign_in("ana", GOOD, "10.0.0.1").account == ana
    assert accounts.recognise(accounts.find(ana), "10.6.0.1", "a phone") is None


def test_a_place_is_known_for_one_account_alone_and_for_a_year(accounts, ana, clock):
    accounts.sign_in("ana", GOOD, "10.0.0.1", "her laptop")
    ben = accounts.create("ben")
    accounts.set_password(ben, OTHER)
    for n in range(50):
        fail(accounts, 1, "ben", f"10.1.0.{n}")
    with pytest.raises(TooManyAttempts):
        accounts.sign_in("ben", OTHER, "10.0.0.1", "her laptop")
    clock.advance(366 * 24 * 3600)
    for n in range(50):
        fail(accounts, 1, "ana", f"10.1.0.{n}")
    with pytest.raises(TooManyAttempts):
        accounts.sign_in("ana", GOOD, "10.0.0.1", "her laptop")


def test_one_address_cannot_try_many_accounts_nor_many_addresses_one_account(accounts, ana):
    fail_each = [(f"name{n}", "10.0.0.9") for n in range(50)]
    for name, address in fail_each:
        fail(accounts, 1, name, address)
    assert wait_of(accounts, "ana", "10.0.0.9") <= 60
    for n in range(50):
        fail(accounts, 1, "ana", f"10.1.0.{n}")
    assert wait_of(accounts, "ana", "10.2.0.1") <= 60


def test_an_ipv6_customer_counts_as_one_address(accounts, ana):
    for n in range(5):
        fail(accounts, 1, "ana", f"2001:db8:0:1::{n}")
    assert wait_of(accounts, "ana", "2001:db8:0:1::ffff") == 1


def test_attempts_made_at_once_are_all_counted(accounts, ana):
    said = []

    def attempt():
        try:
            accounts.sign_in("ana", "wrong password", "10.0.0.1")
        except (InputError, TooManyAttempts) as error:
            said.append(type(error).__name__)

    threads = [Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("InputError") <= 6


def test_changing_a_password_asks_for_the_old_one(accounts, ana):
    with pytest.raises(InputError, match="present password"):
        accounts.change_password(ana, "wrong password", OTHER, "10.0.0.1")
    accounts.change_password(ana, GOOD, OTHER, "10.0.0.1")
    assert accounts.verify("ana", OTHER)
    assert accounts.verify("ana", GOOD) is None
