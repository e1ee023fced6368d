"""Passwords: which may be used, and how they are kept (Argon2id)."""

from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from models.errors import InputError

SHORTEST, LONGEST = 10, 200
_AT_ONCE = 2  # a hash takes 64 MiB: many sign-ins at once must not take the machine's memory
_COMMON = frozenset(
    """
    0123456789 0987654321 1111111111 1122334455 1212121212 123123123123 1234512345 1234567890 12345678900
    12345678901 1234567890q 1234567891 1234567899 123456789a 123456789o 123456789q 123qweasdzxc 12qwaszx34
    1357924680 1472583690 147258369a 159753456852 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc 1qazxsw23edc 5555555555
    7777777777 9876543210 987654321a a123456789 a1234567890 aa123456789 abc1234567 abc123456789 abcd123456
    abcdefghij abcdefghijk admin12345 admin123456 adminadmin administrator asdfasdfasdf asdfghjkl1 asdfghjkl123
    asdfghjkl; babygirl123 barcelona1 baseball123 basketball bismillah1 blink182blink changeme12 changeme123
    charlie123 chocolate1 christopher computer123 dragon12345 elizabeth1 facebook123 football123 forever123
    hello12345 hello123456 iloveyou12 iloveyou123 iloveyou1234 jennifer123 jessica123 jordan2323 letmein123
    letmein1234 liverpool1 manchester michael123 microsoft1 mynameis123 myspace123 newpassword p@ssw0rd123
    passw0rd123 password01 password10 password11 password12 password123 password1234 password12345
    password123456 password2024 password2025 password2026 passwordpassword pokemon123 princess123 q1w2e3r4t5
    q1w2e3r4t5y6 qazwsxedc1 qazwsxedcrfv qualstream qualstream1 qualstream123 qwe123qwe123 qweasdzxc1
    qweasdzxc123 qwerty12345 qwerty123456 qwerty1234567 qwertyqwerty qwertyuiop qwertyuiop1 qwertyuiop123
    qwertyuiop[] rockyou123 secret1234 spiderman1 starwars123 sunshine123 superman123 test123456 testtest123
    trustno1trustno1 unbelievable welcome123 welcome1234 whatever12 zaq12wsxcde3 zaqwsxcde1 zxcvbnm,./
    zxcvbnm123 zxcvbnm1234 zxcvbnmasd
    """.split()  # noqa: SIM905 - a list of them would take a page
)


def check_password(password: str, name: str) -> None:
    """See that a password may be used.

    Raises:
        InputError: If it is too short, too long, or among the first that anybody would try.
    """
    if len(password) < SHORTEST:
        raise InputError(
            f"this password has {len(password)} characters, at least {SHORTEST} are expected; make it longer"
        )
    if len(password) > LONGEST:
        raise InputError(f"this password has {len(password)} characters; make it at most {LONGEST} long")
    folded = password.casefold()
    if folded in _COMMON or len(set(folded)) < 4:
        raise InputError("this password is among the first that anybody would try; choose another, such as four words")
    if folded.replace(name.casefold(), "", 1).strip("0123456789 .!_-") == "":
        raise InputError("this password is little more than the name; choose another, such as four words")


class Passwords:
    """Argon2id's hashes; a few at once."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Use argon2-cffi's defaults (RFC 9106, low memory) unless told otherwise."""
        self._hasher = hasher or PasswordHasher()
        self._slots = BoundedSemaphore(_AT_ONCE)
        self._nobody: str | None = None

    def hash(self, password: str) -> str:
        """The encoded hash, with its salt and parameters."""
        with self._slots:
            return self._hasher.hash(password)

    def fits(self, encoded: str | None, password: str) -> bool:
        """Whether a password belongs to a hash; where there is none, as much work is done to say no."""
        if encoded is None:
            if self._nobody is None:
                self._nobody = self.hash("nobody has this password")
            self.fits(self._nobody, password)
            return False
        with self._slots:
            try:
                return self._hasher.verify(encoded, password)
            except (VerificationError, InvalidHashError):
                return False

    def outdated(self, encoded: str) -> bool:
        """Whether a hash was made with other parameters than are used now."""
        return self._hasher.check_needs_rehash(encoded)
