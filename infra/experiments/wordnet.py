"""WordNet's files, for METEOR: where they are, and nltk's reader over them."""

import io
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from models.errors import SettingError

if TYPE_CHECKING:
    from models.evaluation.metrics import Thesaurus

PLACES = (Path(sys.prefix) / "share" / "wordnet", Path("/usr/share/wordnet"), Path("/usr/local/share/wordnet"))
"""Where set-up (``infra/experiments/wordnet.sh``) and Debian's package ``wordnet-base`` put them."""
_PARTS = ("adj", "adv", "noun", "verb")
_FILES = tuple(f"{kind}.{part}" for kind in ("data", "index") for part in _PARTS)
_LEXNAMES = (  # the file lexnames, which Debian's package leaves out: WordNet 3.0, lexnames(5WN)
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition "
    "noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object noun.person "
    "noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape noun.state "
    "noun.substance noun.time verb.body verb.change verb.cognition verb.communication verb.competition "
    "verb.consumption verb.contact verb.creation verb.emotion verb.motion verb.perception verb.possession "
    "verb.social verb.stative verb.weather adj.ppl"
)


def find_wordnet(folder: Path | None = None) -> Path | None:
    """The folder with WordNet's files; ``None`` where there is none.

    Args:
        folder: The one to use and no other, such as ``QUALSTREAM_WORDNET`` names.

    Raises:
        SettingError: If ``folder`` is given and does not hold them.
    """
    if folder is None:
        return next((place for place in PLACES if not _missing(place)), None)
    missing = _missing(folder)
    if missing:
        raise SettingError(
            f"the WordNet folder '{folder}' has no {', '.join(missing[:3])}; give the folder with data.noun, "
            "index.noun and the like, or leave QUALSTREAM_WORDNET and --wordnet away"
        )
    return folder


@cache
def read_wordnet(folder: Path) -> "Thesaurus":
    """WordNet as nltk reads it, from exactly this folder; nothing is downloaded."""
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):  # type: ignore[misc]  # nltk has no types
        def open(self, file: str) -> IO[Any]:
            if file == "lexnames":
                return io.StringIO("".join(f"{n:02d}\t{name}\t0\n" for n, name in enumerate(_LEXNAMES.split())))
            stream: IO[Any] = super().open(file)
            return stream

        def map_wn(self, version: str = "wordnet") -> None:
            """Offsets of other versions are of no use here, and their tables are not at hand."""

    root = str(folder.resolve())
    if root not in nltk.data.path:
        nltk.data.path.append(root)  # nltk refuses to read anywhere else
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The multilingual functions")
        reader: Thesaurus = Reader(root, None)
    return reader


def _missing(folder: Path) -> list[str]:
    return [name for name in _FILES if not (folder / name).is_file()]
