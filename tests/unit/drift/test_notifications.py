"""Alerts reach a webhook, signed, and a mail server, over real sockets; once each, and again where they failed."""

import json
import socketserver
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid5

import pytest
from sqlalchemy import select

from infra.drift.alert_words import MESSAGES
from infra.drift.notifications import (
    SIGNATURE,
    ChatHook,
    Delivery,
    Mail,
    Webhook,
    build_hooks,
    deliveries,
    notify,
    send_again,
    sign,
)
from infra.settings import load_settings
from infra.storage.alerts import AlertMark, mark
from infra.storage.projections import insert
from infra.storage.store import open_store
from infra.storage.tables import alert_deliveries, alert_marks
from models.errors import SettingError
from models.fakes import HandClock
from schemas import DriftAlert, RuleCount
from schemas.ids import code_id

CLOCK = HandClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
SECRET = b"a secret of sixteen"


def alert(number=0, **more):
    given = {
        "id": uuid5(code_id("app", "alert"), str(number)),
        "study": "app",
        "kind": "code share",
        "cause": "input",
        "at": CLOCK.now() - timedelta(hours=2),
        "detected_at": CLOCK.now() - timedelta(hours=1),
        "p": 0.01,
        "effect": 0.1,
        "codes": ["late\r\nBcc: everybody@example.org"],
    }
    return DriftAlert.model_validate(given | more)


@pytest.fixture
def database(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    store.record([alert()])
    yield store.database
    store.close()


class Server(HTTPServer):
    """A receiver that answers with the next of its statuses and keeps what came."""

    statuses = (200,)

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.got = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.headers[SIGNATURE], body))
        self.send_response(self.server.statuses[min(len(self.server.got), len(self.server.statuses)) - 1])
        self.end_headers()

    def log_message(self, *args):
        pass


class Smtp(socketserver.StreamRequestHandler):
    """As much of a mail server as one letter needs."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.letters.append(letter.decode())
            self.wfile.write(b"250 done\r\n" if word != b"QUIT" else b"221 bye\r\n")
            if word == b"QUIT":
                return


@contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def webhook(server):
    return Webhook(f"http://127.0.0.1:{server.server_port}/", SECRET, CLOCK, "http://page")


def delivered(database):
    with database.reading() as connection:
        return connection.execute(select(alert_deliveries)).all()


def test_a_webhook_is_told_once_and_can_check_who_says_it(database):
    with running(Server()) as server:
        assert notify(database, [webhook(server)], CLOCK) == 1
        assert notify(database, [webhook(server)], CLOCK) == 0
    ((signature, body),) = server.got
    seconds, said = (part.partition("=")[2] for part in signature.split(","))
    assert said == sign(SECRET, int(seconds), body) != sign(b"another secret 16", int(seconds), body)
    told = json.loads(body)
    assert (told["id"], told["page"]) == (str(alert().id), f"http://page/s/app/drift#{alert().id}")


def test_a_rule_tells_its_share_limit_and_hours_and_of_no_comparison(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'rule.db'}")
    counted = RuleCount(share=0.33, limit=0.05, hours=72, segments=21, author="lea")
    store.record([alert(kind="rule", p=1.0, after=21, codes=["slow"], says="'slow' is often said", rule=counted)])
    with running(Server()) as server:
        notify(store.database, [webhook(server), ChatHook(webhook(server).url, MESSAGES["slack"], "p", "slack")], CLOCK)
    store.close()
    told, chat = (json.loads(body) for _, body in server.got)
    assert told["rule"].items() >= {"share": 0.33, "limit": 0.05, "hours": 72, "segments": 21, "author": "lea"}.items()
    assert (told["p"], told["effect"], told["before"]) == (None, None, None)
    assert "Counted: 2026-03-01 10:00 UTC to 2026-03-01 11:00 UTC" in str(chat)
    assert "What moved" not in str(chat)


def test_what_failed_is_tried_again(database):
    with running(Server()) as server:
        server.statuses = (500, 200)
        assert notify(database, [webhook(server)], CLOCK) == 0
        assert "500" in delivered(database)[0].last_error
        assert notify(database, [webhook(server)], CLOCK) == 1
    (row,) = delivered(database)
    assert (row.attempts, row.last_error) == (2, None)


def test_a_receiver_that_is_away_holds_nobody_up(database):
    with running(Server()) as server:
        away = Webhook("http://127.0.0.1:9/", SECRET, CLOCK, "http://page", name="away")
        assert notify(database, [away, webhook(server)], CLOCK) == 1


def test_nobody_is_told_of_old_news_or_of_what_people_have_seen(tmp_path, database):
    seen = {"alert_id": alert().id, "study": "app", "kind": "acknowledged", "author": "ana", "at": CLOCK.now()}
    with database.writing() as connection:
        connection.execute(insert(alert_marks, "sqlite").values(seen))
    store = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    store.record([alert(1, detected_at=CLOCK.now() - timedelta(days=2))])
    store.close()
    with running(Server()) as server:
        assert notify(database, [webhook(server)], CLOCK) == 0


def test_old_texts_are_told_of_when_they_are_read_and_only_then(tmp_path, database):
    old = CLOCK.now() - timedelta(days=900)
    store = open_store(f"sqlite:///{tmp_path / 'q.db'}")
    store.record([alert(1, at=old, detected_at=old, raised_at=CLOCK.now() - timedelta(minutes=1))])
    store.record([alert(2, at=old, detected_at=old, raised_at=CLOCK.now() - timedelta(days=2))])
    store.close()
    with running(Server()) as server:
        assert notify(database, [webhook(server)], CLOCK) == 2
    assert {json.loads(body)["id"] for _, body in server.got} == {str(alert(0).id), str(alert(1).id)}


def test_an_alert_is_sent_again_when_somebody_asks_whatever_was_done_about_it(tmp_path, database):
    with running(Server()) as server:
        hook = webhook(server)
        notify(database, [hook], CLOCK)
        mark(database, "app", alert().id, AlertMark("acknowledged", "ana", CLOCK.now()))
        send_again(database, "app", alert().id, [hook.name])
        assert deliveries(database, "app")[alert().id] == [Delivery("webhook", 0, None, None)]
        assert notify(database, [hook], CLOCK) == 1
        assert notify(database, [hook], CLOCK) == 0
    (delivery,) = deliveries(database, "app")[alert().id]
    assert (delivery.attempts, delivery.delivered_at) == (1, CLOCK.now())


@pytest.mark.parametrize("chat", MESSAGES)
def test_a_chat_gets_a_message_in_its_own_form_that_no_text_breaks(database, chat):
    nasty = alert(3, codes=["<!channel> *bold* @all [x](http://evil)"], says="slow & <b>")
    with running(Server()) as server:
        hook = ChatHook(f"http://127.0.0.1:{server.server_port}/secret", MESSAGES[chat], "http://page", chat)
        hook.notify(nasty)
    body = server.got[0][1].decode()
    message = json.loads(body)
    assert f"http://page/s/app/drift#{nasty.id}" in body
    assert "<!channel>" not in body
    assert chat == "slack" or ("](http://evil" not in body and "@all" not in body)  # nothing to Slack
    text = message["attachments"][0]["content"]["body"][0]["text"] if chat == "teams" else message["text"]
    assert "slow" in text


def test_an_error_names_no_secret_address(database):
    with running(Server()) as server:
        server.statuses = (403,)
        chat = ChatHook(f"http://127.0.0.1:{server.server_port}/secret", MESSAGES["slack"], "http://page", "slack")
        assert notify(database, [chat], CLOCK) == 0
    away = ChatHook("http://127.0.0.1:9/secret", MESSAGES["teams"], "http://page", "teams")
    assert notify(database, [away], CLOCK) == 0
    assert [row.last_error for row in delivered(database)] == ["OSError: status 403", "OSError: ConnectError"]


def test_a_letter_says_what_changed_and_no_code_writes_its_headers(database):
    with running(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp)) as server:
        server.letters = []
        mail = Mail(
            f"smtp://127.0.0.1:{server.server_address[1]}", None, "q@example.org", ("a@example.org",), "http://p"
        )
        assert notify(database, [mail], CLOCK) == 1
    (letter,) = server.letters
    head, _, body = letter.partition("\r\n\r\n")
    assert "Subject: Qualstream: code share in study app" in head
    assert "Bcc" not in head
    assert "Codes: late Bcc: everybody@example.org" in body


def test_the_settings_name_the_hooks_and_want_them_whole(monkeypatch):
    assert build_hooks(load_settings(), CLOCK) == []
    monkeypatch.setenv("QUALSTREAM_WEBHOOK_URL", "https://example.org/hook")
    with pytest.raises(SettingError, match="QUALSTREAM_WEBHOOK_SECRET is not; set both"):
        load_settings()
    monkeypatch.setenv("QUALSTREAM_WEBHOOK_SECRET", SECRET.decode())
    monkeypatch.setenv("QUALSTREAM_SMTP_URL", "smtp://mail.example.org:25")
    monkeypatch.setenv("QUALSTREAM_MAIL_TO", "ana@example.org, ben@example.org")
    monkeypatch.setenv("QUALSTREAM_SLACK_URL", "https://hooks.example.org/services/secret")
    monkeypatch.setenv("QUALSTREAM_TEAMS_URL", "hooks.example.org")
    with pytest.raises(SettingError, match="QUALSTREAM_TEAMS_URL"):
        load_settings()
    monkeypatch.setenv("QUALSTREAM_TEAMS_URL", "")
    told = build_hooks(load_settings(), CLOCK)
    assert [hook.name for hook in told] == ["webhook", "e-mail", "slack"]
    assert told[1].to == ("ana@example.org", "ben@example.org")
