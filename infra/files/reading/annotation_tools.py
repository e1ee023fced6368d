"""Objects of annotation tools as flat rows: text, id, codes, coder, time."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Cells = dict[str, Any]


def flattened(value: Cells) -> list[Cells]:
    """One object as rows: several where several people annotated it; as it is where no tool's shape is known."""
    for known, rows in _SHAPES:
        if known(value):
            return list(rows(value))
    return [value]


def _is_label_studio(value: Cells) -> bool:
    return isinstance(value.get("data"), dict) and isinstance(value.get("annotations", value.get("completions")), list)


def _label_studio(value: Cells) -> Iterator[Cells]:
    """A task with what each annotator said; one that nobody annotated is a row without codes."""
    data = dict(value["data"])
    row = {"id": value.get("id"), **data} | _with_text(data)
    annotations = [each for each in value.get("annotations", value.get("completions")) or () if isinstance(each, dict)]
    done = [each for each in annotations if not each.get("was_cancelled")]
    for each in done:
        results = [result for result in each.get("result") or [] if isinstance(result, dict)]
        codes = [code for result in results for code in _choices(result.get("value"))]
        coder = each.get("completed_by")
        coder = coder.get("email") or coder.get("id") if isinstance(coder, dict) else coder
        coded = {"codes": codes, "coder": None if coder is None else str(coder), "decided_at": each.get("created_at")}
        spans = [_span(result["value"]) for result in results if _is_span(result.get("value"))]
        yield row | coded | ({"spans": spans} if spans else {})
    if not done:
        yield row


def _with_text(data: Cells) -> Cells:
    """The text of a task goes by any name: the longest, where it is not called so."""
    texts = {name: each for name, each in data.items() if isinstance(each, str)}
    return {} if "text" in data or not texts else {"text": max(texts.values(), key=len)}


def _choices(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return []
    lists = [value.get(kind) for kind in ("choices", "labels", "hypertextlabels", "paragraphlabels")]
    flat = [each for codes in lists if isinstance(codes, list) for each in codes]
    paths = [" > ".join(map(str, path)) for path in value.get("taxonomy") or [] if isinstance(path, list)]
    return [str(each) for each in flat] + paths


def _is_span(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("start"), int) and isinstance(value.get("end"), int)


def _span(value: Mapping[str, Any]) -> Cells:
    return {"start": value["start"], "end": value["end"], "codes": _choices(value)}


def _is_prodigy(value: Cells) -> bool:
    return "_task_hash" in value or ("_input_hash" in value and "text" in value)


def _prodigy(value: Cells) -> Iterator[Cells]:
    """A task: what was accepted is coded, what was rejected or ignored is not."""
    accepted = value.get("answer", "accept") == "accept"
    options = {each.get("id"): each.get("text") for each in value.get("options") or [] if isinstance(each, dict)}
    chosen = [options.get(each) or each for each in value.get("accept") or []]
    spans = [each for each in value.get("spans") or [] if isinstance(each, dict) and each.get("label")]
    label = value.get("label")
    codes = [*chosen, *([label] if isinstance(label, str) and not options else []), *(each["label"] for each in spans)]
    meta = _object(value.get("meta"))
    kept = {name: each for name, each in value.items() if not name.startswith("_") and name not in _PRODIGY_OWN}
    coder = value.get("_annotator_id") or value.get("_session_id")
    yield {
        **meta,
        **kept,
        "id": value.get("id") or meta.get("id") or value.get("_task_hash"),
        "codes": list(dict.fromkeys(map(str, codes))) if accepted else None,
        **({"coder": str(coder)} if coder else {}),
        **({"decided_at": value["_timestamp"]} if value.get("_timestamp") else {}),
        **({"spans": spans} if spans else {}),
    }


_PRODIGY_OWN = ("options", "accept", "label", "spans", "tokens", "config", "meta", "answer")


def _is_argilla(value: Cells) -> bool:
    return isinstance(value.get("fields"), dict) and ("responses" in value or "suggestions" in value)


def _argilla(value: Cells) -> Iterator[Cells]:
    """A record with each person's responses; suggestions of models are no codes."""
    fields = dict(value["fields"])
    metadata = _object(value.get("metadata"))
    row = {"id": value.get("id") or value.get("external_id"), **fields, **metadata} | _with_text(fields)
    by_person = _argilla_responses(value.get("responses"))
    for person, codes in by_person.items():
        yield row | {"codes": codes} | ({"coder": person} if person else {})
    if not by_person:
        yield row


def _argilla_responses(responses: Any) -> dict[str, list[str]]:
    by_person: dict[str, list[str]] = {}
    listed = responses.values() if isinstance(responses, dict) else responses if isinstance(responses, list) else []
    for each in (answer for group in listed for answer in (group if isinstance(group, list) else [group])):
        if not isinstance(each, dict) or each.get("status", "submitted") != "submitted":
            continue
        person = str(each.get("user_id") or each.get("user") or "")
        values = _object(each.get("values")) or {"": each}
        for value in values.values():
            by_person.setdefault(person, []).extend(_strings(value.get("value") if isinstance(value, dict) else value))
    return by_person


def _object(value: Any) -> Cells:
    return value if isinstance(value, dict) else {}


def _strings(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(each.get("label", each) if isinstance(each, dict) else each) for each in value]
    return [] if value is None else [str(value)]


def _is_span_list(value: Cells) -> bool:
    spans = value.get("label", value.get("labels"))
    return isinstance(spans, list) and bool(spans) and all(_is_triple(each) for each in spans)


def _is_triple(each: Any) -> bool:
    return isinstance(each, list) and len(each) == 3 and isinstance(each[0], int) and isinstance(each[1], int)


def _span_list(value: Cells) -> Iterator[Cells]:
    """Doccano's sequence labels: start, end and code."""
    name = "label" if "label" in value else "labels"
    triples = value[name]
    spans = [{"start": start, "end": end, "codes": [code]} for start, end, code in triples]
    yield value | {name: list(dict.fromkeys(str(code) for _, _, code in triples)), "spans": spans}


_SHAPES: tuple[tuple[Callable[[Cells], bool], Callable[[Cells], Iterator[Cells]]], ...] = (
    (_is_label_studio, _label_studio),
    (_is_prodigy, _prodigy),
    (_is_argilla, _argilla),
    (_is_span_list, _span_list),
)
