"""Sessions in a signed cookie, and the CSRF token that belongs to each.

The cookie says whose session it is; the server knows which are open, so that one that was ended is over for every copy.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from itsdangerous import BadSignature, URLSafeTimedSerializer

from infra.accounts.accounts import Visitor
from infra.accounts.open_sessions import LONGEST, OpenSessions
from infra.settings import Settings, ensure_data_dir
from models.errors import SettingError
from models.ports import Clock

COOKIE = "qualstream"
IDLE = timedelta(hours=12)
_RENEW = timedelta(minutes=5)
_KEY_FILE = "web.key"


@dataclass(frozen=True)
class Session:
    """One browser's session; without an account until somebody signs in."""

    id: str
    since: float
    """Seconds since 1970, when it began."""
    seen: float
    """Seconds since 1970, when its cookie was last set."""
    account: UUID | None = None
    epoch: int = 0
    secure: bool = False
    """Whether it began over https: then its cookie is for https alone, in every answer."""


class Sessions:
    """Writes and reads cookies. A cookie that was changed, or is too old, is as none."""

    def __init__(self, key: str, clock: Clock, opened: OpenSessions) -> None:
        """Sign with a key that nobody else has."""
        self._opened = opened
        self._key = key.encode("utf-8")
        self._signer = URLSafeTimedSerializer(key, salt="qualstream session")
        self._clock = clock

    def begin(self, visitor: Visitor | None = None, *, secure: bool = False) -> Session:
        """A new session: at sign-in always, so that nobody can choose another's beforehand."""
        now = self._clock.now().timestamp()
        session = Session(secrets.token_urlsafe(18), now, now, secure=secure)
        if visitor is None:
            return session
        self._opened.open(session.id, visitor.account)
        return replace(session, account=visitor.account, epoch=visitor.epoch)

    def end(self, session: Session) -> None:
        """End a session for good: copies of its cookie are worth nothing either."""
        self._opened.end(session.id)

    def write(self, session: Session) -> str:
        """The cookie's value; it is seen now."""
        account = session.account.hex if session.account else ""
        seen = self._clock.now().timestamp()
        return str(self._signer.dumps([session.id, session.since, seen, account, session.epoch, session.secure]))

    def read(self, cookie: str | None) -> Session | None:
        """The session of a cookie; ``None`` where it does not hold."""
        if not cookie:
            return None
        try:
            name, since, seen, account, epoch, secure = self._signer.loads(cookie)
            whose = UUID(account) if account else None
            session = Session(str(name), float(since), float(seen), whose, int(epoch), bool(secure))
        except (BadSignature, ValueError, TypeError, AttributeError):
            return None
        now = self._clock.now().timestamp()
        fresh = now - session.seen <= IDLE.total_seconds() and now - session.since <= LONGEST.total_seconds()
        return session if fresh else None

    def renew(self, session: Session) -> bool:
        """Whether the cookie should be set again, so that the session does not end while it is used."""
        return self._clock.now().timestamp() - session.seen > _RENEW.total_seconds()

    def csrf(self, session: Session) -> str:
        """The token that forms of this session carry."""
        return hmac.new(self._key, f"csrf {session.id}".encode(), hashlib.sha256).hexdigest()

    def is_csrf(self, session: Session, given: str) -> bool:
        """Whether a form's token belongs to this session."""
        return hmac.compare_digest(self.csrf(session).encode(), given.encode("utf-8", "surrogatepass"))


def signing_key(settings: Settings) -> str:
    """The key of the settings, or that of a file in the data folder, made at the first start.

    Raises:
        SettingError: If the file cannot be made or read.
    """
    if settings.web_secret is not None:
        return settings.web_secret.get_secret_value()
    path = ensure_data_dir(settings) / _KEY_FILE
    try:
        fresh = path.with_name(f"{_KEY_FILE}.{secrets.token_hex(8)}")
        if not path.exists():
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(48))
            try:
                os.link(fresh, path)  # whole or not at all, and never in place of another process's
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"the key of the page's sessions cannot be kept in '{path}' ({error}); set QUALSTREAM_WEB_SECRET, or make "
            "the folder writable"
        ) from error
    if len(key) < 32:
        raise SettingError(
            f"'{path}' holds {len(key)} characters, 32 or more are expected; delete it: a new one is made"
        )
    return key
