"""An authority of the test's own and a broker's certificate from it, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "a-password-of-the-tests"
_DAYS = ("-days", "2")
_NEW_KEY = ("-newkey", "rsa:2048", "-nodes")


@dataclass(frozen=True)
class Certificates:
    """The files: the authority as PEM, and the broker's key and certificate as PKCS12."""

    authority: Path
    key_store: Path


def certificates(folder: Path, names: str = "IP:127.0.0.1,DNS:localhost") -> Certificates:
    """Make an authority and a broker's certificate.

    Args:
        folder: Where the files go.
        names: What the broker may be called, as openssl's ``subjectAltName`` has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = Certificates(folder / "authority.pem", folder / "broker.p12")
    authority_key, key, request, certificate = (
        str(folder / name) for name in ("authority.key", "broker.key", "broker.csr", "broker.pem")
    )
    extensions = folder / "broker.ext"
    extensions.write_text(f"subjectAltName={names}\n", encoding="ascii")
    authority = str(files.authority)
    _openssl("req", "-x509", *_NEW_KEY, *_DAYS, "-subj", "/CN=tests", "-keyout", authority_key, "-out", authority)
    _openssl("req", *_NEW_KEY, "-subj", "/CN=broker", "-keyout", key, "-out", request)
    signing = ("-CA", authority, "-CAkey", authority_key, "-CAcreateserial", "-extfile", str(extensions))
    _openssl("x509", "-req", "-in", request, *signing, *_DAYS, "-out", certificate)
    store = ("-inkey", key, "-in", certificate, "-certfile", authority, "-passout", f"pass:{PASSWORD}")
    _openssl("pkcs12", "-export", *store, "-out", str(files.key_store))
    return files


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"openssl {arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}"
