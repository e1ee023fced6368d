"""REFI-QDA files as they lie on disk: a project is a ZIP archive of XML and sources, a codebook is XML."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from models.errors import InputError, SettingError

if TYPE_CHECKING:
    from pyrefiqda.models.codebook import CodeBook
    from pyrefiqda.models.project import Project

PROJECT, CODEBOOK = ".qdpx", ".qdc"
_LARGEST = 256 * 1024 * 1024  # bytes of one file of an archive, unpacked
_INTERNAL = "internal://"

Model = TypeVar("Model")


@dataclass(frozen=True)
class RefiProject:
    """A project as it was read."""

    project: "Project"
    texts: Mapping[str, str]
    """Plain texts by the name of their file, in small letters."""

    def text(self, path: str | None, content: str | None) -> str | None:
        """A source's plain text: in its own element, or in a file of the archive; ``None`` where it is elsewhere."""
        if content is not None:
            return content
        if path is None or not path.startswith(_INTERNAL):
            return None
        return self.texts.get(path.removeprefix(_INTERNAL).strip("/").rpartition("/")[2].casefold())

    @cached_property
    def people(self) -> dict[str, str]:
        """The users' names by their folded ids; a program may know no more of them than an id."""
        users = self.project.users.user if self.project.users else []
        return {folded_guid(user.guid): user.name or user.id or "" for user in users}

    def documents(self) -> Iterator[tuple[Any, Any]]:
        """The sources that are read, each with what holds its text: a PDF's representation, if it has one."""
        if self.project.sources is not None:
            for source in self.project.sources.text_source:
                yield source, source
            for source in self.project.sources.pdfsource:
                yield source, source.representation


def folded_guid(guid: str) -> str:
    """An id as it is compared: with or without braces, in whatever case."""
    return guid.strip("{} ").casefold()


def is_refi(name: str) -> bool:
    """Whether a file's name says that it is a REFI-QDA project or codebook."""
    return name.casefold().endswith((PROJECT, CODEBOOK))


def read_project(path: Path | io.BytesIO) -> RefiProject:
    """Read a project, from disk or as it was packed.

    Raises:
        InputError: If it is no such archive, or holds what could not be read safely.
        SettingError: If the package that knows the standard is not installed.
    """
    from_xml = _models()
    from pyrefiqda.models.project import Project

    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry for entry in archive.infolist() if not entry.is_dir()]
            xml = next((entry for entry in names if entry.filename.casefold().endswith(".qde")), None)
            if xml is None:
                raise InputError(f"{path}: no .qde file in the archive; a REFI-QDA project (.qdpx) is expected")
            project = from_xml(_unpacked(archive, xml, path), Project, path)
            texts = {
                Path(entry.filename).name.casefold(): _decoded(_unpacked(archive, entry, path))
                for entry in names
                if entry.filename.casefold().endswith(".txt")
            }
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        # zipfile raises the last two where a member is packed in a way it does not know, or has a password
        raise InputError(f"{path}: not an archive that can be read ({error}); a .qdpx file is expected") from error
    return RefiProject(project, texts)


def read_codebook(path: Path) -> "CodeBook":
    """Read a codebook of its own.

    Raises:
        InputError: If it is no REFI-QDA codebook.
        SettingError: If the package that knows the standard is not installed.
    """
    from_xml = _models()
    from pyrefiqda.models.codebook import CodeBook

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); a .qdc file is expected") from error
    return from_xml(raw, CodeBook, path)


def to_xml(model: Any, namespace: str) -> bytes:
    """A project's or a codebook's XML."""
    _models()
    from xsdata.formats.dataclass.serializers.config import SerializerConfig
    from xsdata_pydantic.bindings import XmlSerializer

    config = SerializerConfig(xml_declaration=True, encoding="UTF-8")
    return str(XmlSerializer(config=config).render(model, ns_map={None: namespace})).encode()


def packed(xml: bytes, texts: Mapping[str, str]) -> bytes:
    """A project's archive: its XML, and the plain texts of its sources.

    No mark stands before the texts: QualCoder counts one as a letter when it reads, so that every place is one off.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("project.qde", xml)
        for name, text in texts.items():
            archive.writestr(f"sources/{name}", text.encode("utf-8", "replace"))
    return buffer.getvalue()


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: object) -> bytes:
    with archive.open(entry) as stream:
        raw = stream.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise InputError(f"{path}: '{entry.filename}' is larger than {_LARGEST >> 20} MiB unpacked; take it out")
    return raw


def _decoded(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _models() -> Any:
    """What makes objects of XML, as far as the package that knows the standard is installed."""
    try:
        from defusedxml.ElementTree import fromstring
        from xsdata.formats.dataclass.parsers.config import ParserConfig
        from xsdata_pydantic.bindings import XmlParser
    except ImportError as error:
        raise SettingError(
            f"REFI-QDA files need '{error.name}', which is not installed; pip install 'qualstream[refi]' or choose "
            "another format"
        ) from None

    def from_xml(raw: bytes, model: type[Model], path: object) -> Model:
        config = ParserConfig(fail_on_unknown_properties=False, fail_on_unknown_attributes=False)
        try:
            fromstring(raw, forbid_dtd=True)  # entities and the like are refused before anything else reads it
            parsed: Model = XmlParser(config=config).from_bytes(raw, model)
        except Exception as error:
            raise InputError(
                f"{path}: not the XML that REFI-QDA has ({' '.join(str(error).split())[:200]}); export it again"
            ) from error
        return parsed

    return from_xml
