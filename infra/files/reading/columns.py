"""What the columns of files are called, by the tools that write them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

TEXT_NAMES = (
    *("text", "review", "content", "comment", "body", "feedback", "message", "answer", "segment", "quote"),
    *("review_text", "reviewtext", "review_body", "review_content", "comment_text", "comments", "response", "excerpt"),
    *("verbatim", "verbatims", "sentence", "post", "tweet", "utterance", "selftext", "free_text", "freetext"),
    *("open_answer", "full_text", "description"),
    *("coded_text", "quotation_content", "text_content", "seltext", "opinion", "reviews", "remark", "remarks"),
    *("kommentar", "kommentare", "rezension", "bewertungstext", "antwort", "rückmeldung", "freitext", "anmerkung"),
    *("nachricht", "commentaire", "commentaires", "avis", "réponse", "texte", "comentario", "comentarios", "reseña"),
    *("respuesta", "texto", "opinión", "comentário", "resposta", "commento", "recensione", "testo", "risposta"),
    *("opmerking", "reactie", "tekst", "komentarz", "opinia", "отзыв", "комментарий", "текст", "ответ"),
    *("コメント", "レビュー", "回答", "感想", "本文", "评论", "意见", "内容", "評論", "意見", "리뷰", "의견"),
)
ID_NAMES = (
    *("id", "segment_id", "review_id", "reviewid", "comment_id", "response_id", "responseid", "key", "uuid", "guid"),
    *("_id", "own_id", "external_id", "record_id", "message_id", "tweet_id", "post_id", "quotation_id", "row_id"),
)
PERSON_NAMES = (
    *("respondent_id", "respondent", "participant_id", "participant", "case_id", "caseid", "ticket_id", "nr", "no"),
    *("number", "nummer", "lfd._nr.", "lfd_nr", "fall", "номер", "№", "編號", "编号", "序号", "番号", "번호"),
)
"""Ids where each stands for one text only; elsewhere they name who spoke."""
TIME_NAMES = (
    *("timestamp", "datetime", "date", "time", "created_at", "at", "created", "submitted_at", "posted_at"),
    *("published_at", "review_date", "date_time", "created_utc", "review_submit_date_and_time", "recorded_date"),
    *("recordeddate", "end_date", "enddate", "start_date", "startdate", "submission_date", "submit_date", "submitted"),
    *("created_date", "creation_date", "date_created", "review_created_(utc)", "review_created", "published_date"),
    *("publisheddate", "date_of_experience", "updated", "updated_at", "datum", "zeit", "zeitpunkt", "zeitstempel"),
    *("fecha", "data_hora", "data_e_ora", "horodateur", "date_et_heure", "дата", "日付", "日期", "时间", "날짜"),
)
LANGUAGE_NAMES = ("language", "lang", "locale", "reviewer_language", "review_language", "user_language", "sprache")
SOURCE_NAMES = ("source",)
MEMO_NAMES = ("memo", "memos", "note", "notes", "comment", "comments", "code_memo", "coder_memo", "kommentar")


@dataclass(frozen=True)
class Tool:
    """A tool whose tables are known by columns that only it has."""

    name: str
    signature: tuple[str, ...]
    """Folded names that are all there."""
    roles: Mapping[str, tuple[str, ...]]
    """Names by role: ``text``, ``id``, ``time``, ``codes``, ``coder``, ``memo``, ``source``, ``language``."""

    passages: bool = False
    """Whether rows are coded passages of documents: one that stands in several rows has several codes."""
    paths: bool = False
    r"""Whether a code is a path with ``\`` between its names."""


def _tool(name: str, *signature: str, **roles: str | tuple[str, ...]) -> Tool:
    listed = {role: (names,) if isinstance(names, str) else names for role, names in roles.items()}
    return Tool(name, signature, MappingProxyType(listed), name in _OF_PASSAGES, name in _WITH_PATHS)


_OF_PASSAGES = ("MAXQDA", "NVivo", "QualCoder")
_WITH_PATHS = ("MAXQDA", "NVivo")


TOOLS = (
    _tool(
        "MAXQDA",
        *("document_name", "code", "segment"),
        text="segment",
        id=(),
        codes="code",
        memo="comment",
        source="document_name",
        coder=("created_by", "modified_by"),
        time=("created_on", "created", "modified_on", "modified"),
    ),
    _tool(
        "MAXQDA",
        *("dokumentname", "code", "segment"),
        text="segment",
        id=(),
        codes="code",
        memo="kommentar",
        source="dokumentname",
        coder=("erstellt_von", "autor", "bearbeitet_von"),
        time=("erstellt_am", "erstellt", "bearbeitet_am"),
    ),
    *(
        _tool(
            "ATLAS.ti",
            *(content, "codes"),
            text=content,
            id=("id", "quotation_id"),
            codes="codes",
            memo="comment",
            source=("document", "document_name"),
            coder=("created_by", "modified_by"),
            time=("creation_date", "created", "modification_date"),
        )
        for content in ("quotation_content", "text_content")
    ),
    _tool(
        "NVivo",
        *("coded_text",),
        text="coded_text",
        codes=("hierarchical_name", "code", "codes", "node", "code_name"),
        memo=("memo", "comment"),
        source=("file", "file_name", "source", "document"),
        coder=("user", "created_by", "coded_by", "initials"),
        time=("modified_on", "created_on"),
    ),
    _tool(
        "Dedoose",
        *("excerpt", "codes_applied_combined"),
        text="excerpt",
        codes="codes_applied_combined",
        memo=("memo", "memo_contents"),
        source=("media_title", "resource_title"),
        coder=("excerpt_creator", "creator"),
        time=("excerpt_date", "date"),
    ),
    _tool("Taguette", *("document", "tag", "content"), text="content", id="id", codes="tag", source="document"),
    _tool(
        "QualCoder",
        *("codename", "seltext"),
        text="seltext",
        id=(),
        codes="codename",
        memo=("memo", "coded_memo"),
        source=("filename", "name"),
        coder=("owner", "coder"),
    ),
    _tool(
        "Google Play",
        *("review_text", "star_rating", "reviewer_language"),
        text="review_text",
        time=("review_submit_date_and_time", "review_submit_millis_since_epoch"),
        language="reviewer_language",
    ),
    _tool("Qualtrics", *("responseid", "recordeddate"), id="responseid", time=("recordeddate", "enddate", "startdate")),
    _tool("SurveyMonkey", *("respondent_id", "collector_id"), id="respondent_id", time=("end_date", "start_date")),
    _tool("Label Studio", *("annotation_id", "annotator", "lead_time"), id="id", coder="annotator", time="created_at"),
    _tool("doccano", *("id", "data", "label"), text="data", id="id", codes="label"),
)
"""The first whose signature is there is taken."""


def folded(name: str) -> str:
    """A column's name without its case and the marks between its words."""
    return "_".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())


def usual(names: Sequence[str], expected: Iterable[str]) -> str | None:
    """The first of the expected names that is there, whatever its case and the marks between its words."""
    by_name = {folded(name): name for name in reversed(names)}
    return next((by_name[folded(name)] for name in expected if folded(name) in by_name), None)


def tool_of(names: Iterable[str]) -> Tool | None:
    """The tool that writes tables with these columns."""
    there = {folded(name) for name in names}
    return next((tool for tool in TOOLS if all(name in there for name in tool.signature)), None)


def role_names(names: Iterable[str], role: str, others: tuple[str, ...]) -> tuple[str, ...]:
    """What the column of a role is called in a table with these columns: as its tool calls it, else as usual.

    Args:
        names: The columns.
        role: ``text``, ``id``, ``time``, ``codes``, ``coder``, ``memo``, ``source`` or ``language``.
        others: The usual names.
    """
    tool = tool_of(names)
    return others if tool is None else tool.roles.get(role, others)
