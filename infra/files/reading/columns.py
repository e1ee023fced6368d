"""What the columns of files are called, by the tools that write them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

TEXT_NAMES = (
    *("text", "review", "content", "comment", "body", "feedback", "message", "answer", "segment", "quote"),
    *("review_text", "reviewtext", "review_body", "review_content", "comment_text", "comments", "response", "excerpt"),
    *("verbatim", "verbatims", "sentence", "post", "tweet", "utterance", "selftext", "free_text", "freetext"),
    *("open_answer", "open_text", "open_response", "free_text_response", "free_response", "open_ended_response"),
    *("customer_feedback", "customer_comment", "feedback_text", "message_text", "message_body", "first_message"),
    *("satisfaction_comment", "text_original", "full_text", "description"),
    *("coded_text", "quotation_content", "text_content", "seltext", "opinion", "reviews", "remark", "remarks"),
    *("kommentar", "kommentare", "rezension", "bewertungstext", "antwort", "rückmeldung", "freitext", "anmerkung"),
    *("nachricht", "commentaire", "commentaires", "avis", "réponse", "texte", "comentario", "comentarios", "reseña"),
    *("respuesta", "texto", "opinión", "comentário", "resposta", "commento", "recensione", "testo", "risposta"),
    *("opmerking", "reactie", "tekst", "komentarz", "opinia", "отзыв", "комментарий", "текст", "ответ"),
    *("bemerkung", "bemerkungen", "anmerkungen", "freitextantwort", "offene_antwort", "kommentarer", "kommentti"),
    *("palaute", "toelichting", "uwagi", "recenzja", "komentář", "komentáře", "yorum", "görüş", "σχόλιο", "σχόλια"),
    *("отзывы", "комментарии", "תגובה", "הערה", "תגובות", "تعليق", "تعليقات", "رأي", "ความคิดเห็น", "bình_luận"),
    *(
        "ý_kiến",
        "ulasan",
        "フィードバック",
        "ご意見",
        "自由記述",
        "自由回答",
        "댓글",
        "코멘트",
        "反馈",
        "反饋",
        "建议",
        "建議",
        "留言",
    ),
    *("コメント", "レビュー", "回答", "感想", "本文", "评论", "意见", "内容", "評論", "意見", "리뷰", "의견"),
)
ID_NAMES = (
    *("id", "segment_id", "review_id", "reviewid", "comment_id", "response_id", "responseid", "key", "uuid", "guid"),
    *("_id", "own_id", "external_id", "record_id", "message_id", "tweet_id", "post_id", "quotation_id", "row_id"),
    *("submission_id", "entry_id", "conversation_id", "issue_key", "antwort_id", "id_de_la_respuesta", "回答id"),
    *("id_de_la_réponse", "id_da_resposta", "id_odpowiedzi", "recommendationid", "comment_key", "feedback_id"),
)
PERSON_NAMES = (
    *("respondent_id", "respondent", "participant_id", "participant", "case_id", "caseid", "ticket_id", "nr", "no"),
    *("number", "nummer", "lfd._nr.", "lfd_nr", "fall", "номер", "№", "編號", "编号", "序号", "番号", "번호", "#"),
)
"""Ids where each stands for one text only; elsewhere they name who spoke."""
TIME_NAMES = (
    *("timestamp", "datetime", "date", "time", "created_at", "at", "created", "submitted_at", "posted_at"),
    *("published_at", "review_date", "date_time", "created_utc", "review_submit_date_and_time", "recorded_date"),
    *("recordeddate", "end_date", "enddate", "start_date", "startdate", "submission_date", "submit_date", "submitted"),
    *("created_date", "creation_date", "date_created", "review_created_(utc)", "review_created", "published_date"),
    *("publisheddate", "date_of_experience", "updated", "updated_at", "datum", "zeit", "zeitpunkt", "zeitstempel"),
    *("submitdate", "datestamp", "date_submitted", "time_submitted", "completion_time", "end_time", "start_time"),
    *("completed_at", "started_at", "ended_at", "timestamp_created", "unix_review_time", "review_time", "ts"),
    *("date_published", "published", "posted_on", "post_date", "comment_date", "feedback_date", "response_date"),
    *("message_date", "survey_date", "sent_at", "received_at", "responded_at", "created_time", "date_added"),
    *("conversation_started_at", "date_received", "creation_time", "datum_abgeschickt", "startdatum", "enddatum"),
    *(
        "last_modified",
        "fertigstellungszeit",
        "startzeit",
        "absendedatum",
        "erstellt_am",
        "eingangsdatum",
        "tijdstempel",
        "tidsstempel",
    ),
    *("tidsstämpel", "tidspunkt", "aikaleima", "marca_temporal", "hora_de_finalización", "hora_de_inicio"),
    *("carimbo_de_data/hora", "hora_de_conclusão", "informazioni_cronologiche", "ora_di_completamento"),
    *("heure_de_fin", "heure_de_début", "date_de_soumission", "date_d'envoi", "sygnatura_czasowa", "data_wysłania"),
    *("zaman_damgası", "časová_značka", "időbélyeg", "tarih", "kuupäev", "päivämäärä", "dátum", "dato", "χρόνος"),
    *(
        "отметка_времени",
        "дата_и_время",
        "חותמת_זמן",
        "طابع_زمني",
        "タイムスタンプ",
        "回答日時",
        "日時",
        "投稿日",
        "작성일",
    ),
    *("타임스탬프", "时间戳记", "时间戳", "提交时间", "時間戳記", "提交時間", "填答時間"),
    *("fecha", "data_hora", "data_e_ora", "horodateur", "date_et_heure", "дата", "日付", "日期", "时间", "날짜"),
)
CLOCK_NAMES = ("time", "time_of_day", "clock", "uhrzeit", "zeit", "heure", "hora", "ora", "tijd", "klokkeslæt", "klo")
"""The time of day in a column beside the date."""
LANGUAGE_NAMES = (
    "language",
    "lang",
    "locale",
    "reviewer_language",
    "review_language",
    "user_language",
    "sprache",
    "userlanguage",
    "startlanguage",
    "start_language",
    "start_sprache",
    "langue",
    "idioma",
    "lingua",
    "taal",
)
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
    separator: str | None = None
    """What parts several codes of a cell, where the tool always writes it so."""


def _tool(name: str, *signature: str, **roles: str | tuple[str, ...]) -> Tool:
    listed = {role: (names,) if isinstance(names, str) else names for role, names in roles.items()}
    return Tool(
        name, signature, MappingProxyType(listed), name in _OF_PASSAGES, name in _WITH_PATHS, _SEPARATORS.get(name)
    )


_OF_PASSAGES = ("MAXQDA", "NVivo", "QualCoder")
_WITH_PATHS = ("MAXQDA", "NVivo")
_SEPARATORS = {"Dedoose": ","}


TOOLS = (
    *(
        _tool(
            "MAXQDA",
            *(document, code, segment),
            text=segment,
            id=(),
            codes=code,
            memo=memo,
            source=document,
            coder=coder,
            time=("created_on", "created", "modified_on", "modified", "erstellt_am", "erstellt", "bearbeitet_am"),
        )
        for document, code, segment, memo, coder in (
            ("document_name", "code", "segment", "comment", ("created_by", "author", "modified_by")),
            ("dokumentname", "code", "segment", "kommentar", ("erstellt_von", "autor", "bearbeitet_von")),
            ("nombre_del_documento", "código", "segmento", "comentario", ("creado_por", "autor")),
            ("nome_do_documento", "código", "segmento", "comentário", ("criado_por", "autor")),
            ("nom_du_document", "code", "segment", "commentaire", ("créé_par", "auteur")),
            ("nome_del_documento", "codice", "segmento", "commento", ("creato_da", "autore")),
        )
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
        "QualCoder",
        *("codename", "coded_text"),
        text="coded_text",
        id=(),
        codes="codename",
        memo=("coded_memo", "memo"),
        source=("file_name", "filename"),
        coder=("coder", "owner"),
    ),
    _tool(
        "NVivo",
        *("coded_text",),
        text="coded_text",
        codes=("hierarchical_name", "code", "codes", "node", "code_name", "name"),
        memo=("memo", "comment"),
        source=("file", "file_name", "source", "source_name", "document"),
        coder=("user", "created_by", "coded_by", "coded_by_initials", "initials"),
        time=("modified_on", "created_on"),
    ),
    *(
        _tool(
            "Dedoose",
            *(excerpt, "codes_applied_combined"),
            text=excerpt,
            codes="codes_applied_combined",
            memo=("memo", "memo_contents"),
            source=("media_title", "resource_title"),
            coder=("excerpt_creator", "creator"),
            time=("excerpt_date", "date"),
        )
        for excerpt in ("excerpt", "excerpt_copy")
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
    _tool(
        "LimeSurvey",
        *("lastpage", "startlanguage"),
        id="id",
        time=("submitdate", "datestamp", "startdate"),
        language="startlanguage",
    ),
    _tool("Typeform", *("#", "submit_date"), id="#", time=("submit_date", "start_date")),
    _tool("Jira", *("issue_key", "summary"), text="description", id="issue_key", time=("created", "updated")),
    _tool("doccano", *("id", "data", "label"), text="data", id="id", codes="label"),
)
"""The first whose signature is there is taken."""

_BRACKETED = re.compile(r"\s*\([^()]*\)\s*$")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NUMBERED = re.compile(r"^\s*([^\W\d]\w*)\.\s+\S")


def folded(name: str) -> str:
    """A column's name without its case and the marks between its words."""
    return "_".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())


def usual(names: Sequence[str], expected: Iterable[str]) -> str | None:
    """The first of the expected names that is there, whatever its case and the marks between its words.

    Where none is, what a tool writes around a name counts for nothing: ``Submit Date (UTC)``, ``id. Response ID``.
    """
    asked = [folded(name) for name in expected]
    by_name = {folded(name): name for name in reversed(names)}
    exact = next((by_name[name] for name in asked if name in by_name), None)
    if exact is not None:
        return exact
    loose: dict[str, set[str]] = {}
    for name in names:
        for plain in _bare(name):
            loose.setdefault(plain, set()).add(name)
    return next((min(loose[name]) for name in asked if len(loose.get(name, ())) == 1), None)


def _bare(name: str) -> Iterator[str]:
    """A name without what stands behind it in brackets, without its question, and with its words apart."""
    yield folded(_BRACKETED.sub("", name))
    yield folded(_CAMEL.sub(" ", name))
    yield folded(name.strip().rstrip(".:*"))
    code = _NUMBERED.match(name)
    if code:
        yield folded(code[1])


def tool_of(names: Iterable[str]) -> Tool | None:
    """The tool that writes tables with these columns."""
    listed = list(names)
    there = {plain for name in listed for plain in (folded(name), *_bare(name))}
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
