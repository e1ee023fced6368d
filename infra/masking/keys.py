"""The operator's key: what encrypts originals, and what recognises a value without keeping it."""

import hashlib
import hmac
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from models.errors import InputError, SettingError
from models.masking.findings import Value

_DIGESTS = b"qualstream masking digests"
_EXPECTED = "one or more lines of 44 characters, as `qualstream masking-key FILE` writes them, are expected"


class MaskingKey:
    """The keys of a file: the first one encrypts, every one decrypts."""

    def __init__(self, keys: list[bytes]) -> None:
        """Take keys of Fernet, at least one.

        Raises:
            ValueError: If one is none.
        """
        self._sealing = MultiFernet([Fernet(key) for key in keys])
        self._secrets = [hmac.digest(key, _DIGESTS, hashlib.sha256) for key in keys]

    @classmethod
    def read(cls, path: Path) -> "MaskingKey":
        """The keys of a file.

        Raises:
            SettingError: If it cannot be read, others may read it, or it holds no key.
        """
        try:
            mode, lines = path.stat().st_mode, path.read_bytes().split()
        except OSError as error:
            raise SettingError(
                f"QUALSTREAM_MASKING_KEY_FILE is '{path}', which cannot be read ({error.strerror})"
            ) from None
        if mode & 0o007:
            raise SettingError(f"QUALSTREAM_MASKING_KEY_FILE '{path}' can be read by everybody; run chmod 600 on it")
        try:
            return cls(lines)
        except ValueError:
            raise SettingError(f"QUALSTREAM_MASKING_KEY_FILE '{path}' holds no key; {_EXPECTED}") from None

    def seal(self, plain: bytes) -> bytes:
        """Encrypt."""
        return self._sealing.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt.

        Raises:
            InputError: If it was encrypted with another key.
        """
        try:
            return self._sealing.decrypt(sealed)
        except InvalidToken:
            raise InputError(
                "the original was encrypted with another key than QUALSTREAM_MASKING_KEY_FILE holds; add that key to "
                "the file as a further line"
            ) from None

    def digests(self, study: str, value: Value) -> list[bytes]:
        """By which a value of a study is known again, 32 bytes by each key, the first one's first."""
        words = "\0".join((study, *value)).encode("utf-8", "surrogatepass")
        return [hmac.digest(secret, words, hashlib.sha256) for secret in self._secrets]


def write_key(path: Path) -> None:
    """Make a key and write it to a new file that is its owner's alone.

    Raises:
        InputError: If the file is there already, or cannot be written.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
    except FileExistsError:
        raise InputError(f"'{path}' is there already, and a key that is lost opens nothing; name a new file") from None
    except OSError as error:
        raise InputError(f"cannot write '{path}' ({error.strerror}); name another file") from None
