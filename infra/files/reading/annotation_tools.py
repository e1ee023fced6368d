"""Objects of annotation tools and of forums as flat rows: text, id, codes, coder, time."""

from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

from infra.files.reading.columns import MEMO_NAMES, TEXT_NAMES, usual

Cells = dict[str, Any]
_DEEPEST = 4


def flattened(value: Cells) -> list[Cells]:
    """One object as rows: several where several people annotated it; as it is where no tool's shape is known."""
    for known, rows in _SHAPES:
        if known(value):
            return list(rows(value))
    return [value]


def is_row(value: Any) -> bool:
    """Whether an object has a text of its own, or is an annotation tool's."""
    if not isinstance(value, dict):
        return False
    text = usual(tuple(value), TEXT_NAMES)
    return (text is not None and isinstance(value[text], str)) or any(known(value) for known, _ in _SHAPES)


def lifted(value: Any) -> Any:
    """An object with what lies in the objects in it, where it has no text itself and one of those has.

    Interfaces write ``{"id": 1, "attributes": {"body": "..."}}``; ``{"label": "..."}`` alone is its value. A name that
    is there already keeps its value.
    """
    if not isinstance(value, dict) or is_row(value):
        return value
    flat = dict(_leaves(value))
    return flat if is_row(flat) else value


def _leaves(value: Cells, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Names and values, those that lie deeper first, so that the outer ones stand."""
    bare = {name: _labelled(each) for name, each in value.items()}
    for each in bare.values():
        if isinstance(each, dict) and depth < _DEEPEST:
            yield from _leaves(each, depth + 1)
    yield from ((name, each) for name, each in bare.items() if not isinstance(each, dict))


def _labelled(each: Any) -> Any:
    """The value of an object that only gives it a label, as Apple's feeds do."""
    return (
        each["label"] if isinstance(each, dict) and "label" in each and set(each) <= {"label", "attributes"} else each
    )


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
    answered = value.get("answer") in ("accept", "reject", "ignore") and ("accept" in value or "label" in value)
    return "_task_hash" in value or ("text" in value and ("_input_hash" in value or answered))


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
    for question, each in _answers(responses):
        if not isinstance(each, dict) or each.get("status", "submitted") != "submitted":
            continue
        person = str(each.get("user_id") or each.get("user") or "")
        values = _object(each.get("values")) or {question: each}
        for name, value in values.items():
            if not _is_note(name):
                answer = value.get("value") if isinstance(value, dict) else value
                by_person.setdefault(person, []).extend(_strings(answer))
    return by_person


def _answers(responses: Any) -> Iterator[tuple[str, Any]]:
    """Each answer with its question; a list of people's answers has none."""
    groups = responses.items() if isinstance(responses, dict) else [("", responses)]
    for question, group in groups:
        yield from ((question, answer) for answer in (group if isinstance(group, list) else [group]))


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


def _is_entity_list(value: Cells) -> bool:
    return isinstance(value.get("text"), str) and isinstance(value.get("entities"), list) and "codes" not in value


def _entity_list(value: Cells) -> Iterator[Cells]:
    """Doccano's spans with relations: each an object with its label and its offsets."""
    entities = [each for each in value["entities"] if isinstance(each, dict) and each.get("label")]
    spans = [
        {"start": each.get("start_offset"), "end": each.get("end_offset"), "codes": [str(each["label"])]}
        for each in entities
    ]
    yield value | {"codes": list(dict.fromkeys(str(each["label"]) for each in entities)), "spans": spans}


def _is_user_list(value: Cells) -> bool:
    labels = value.get("annotations")
    return (
        isinstance(labels, list) and bool(labels) and all(isinstance(each, dict) and "user" in each for each in labels)
    )


def _user_list(value: Cells) -> Iterator[Cells]:
    """Doccano's older form: labels, each with the number of who gave it."""
    by_user: dict[str, list[str]] = {}
    for each in value["annotations"]:
        if each.get("label") is not None:
            by_user.setdefault(str(each["user"]), []).append(str(each["label"]))
    for user, codes in by_user.items():
        yield value | {"codes": codes, "coder": user}


def _is_argilla_table(value: Cells) -> bool:
    return any(name.endswith((".responses", ".responses.users")) for name in value)


def _argilla_table(value: Cells) -> Iterator[Cells]:
    """Argilla's records as data sets of rows: a list of responses a question, beside one of who gave them."""
    kept = {name: each for name, each in value.items() if ".responses" not in name and ".suggestion" not in name}
    by_person: dict[str, list[str]] = {}
    for name in (name for name in value if name.endswith(".responses") and not _is_note(name[: -len(".responses")])):
        answers, people = value[name] or [], value.get(f"{name}.users") or []
        for answer, person in zip_longest(answers, people[: len(answers)]):
            by_person.setdefault(str(person or ""), []).extend(_strings(answer))
    for person, codes in by_person.items():
        yield kept | {"codes": codes} | ({"coder": person} if person else {})
    if not by_person:
        yield kept


def _is_argilla_1(value: Cells) -> bool:
    return "annotation_agent" in value and "prediction" in value


def _argilla_1(value: Cells) -> Iterator[Cells]:
    """Argilla's first form: a record with its annotation, validated or not yet."""
    inputs = _object(value.get("inputs"))
    row = {"id": value.get("id"), **inputs} | _with_text(inputs) | {"text": value.get("text") or inputs.get("text")}
    codes = _strings(value.get("annotation"))
    done = value.get("status", "Validated") == "Validated" and codes
    coder = value.get("annotation_agent")
    yield row | ({"codes": codes} if done else {}) | ({"coder": str(coder)} if done and coder else {})


def _is_reddit(value: Cells) -> bool:
    return "created_utc" in value and ("selftext" in value or "body" in value) and "text" not in value


def _reddit(value: Cells) -> Iterator[Cells]:
    """A post or a comment, its words under one name; the comments below it are rows of their own."""
    kept = {name: each for name, each in value.items() if name != "replies"}
    body = value.get("body")
    if not isinstance(body, str):
        own = value.get("selftext")
        body = own if isinstance(own, str) and own.strip() else value.get("title")
    yield kept | {"body": body}
    for reply in _replies(value.get("replies")):
        yield from flattened(reply)


def _replies(listing: Any) -> Iterator[Cells]:
    data = listing.get("data") if isinstance(listing, dict) else None
    for child in (data or {}).get("children") or ():
        thing = child.get("data") if isinstance(child, dict) else None
        if isinstance(thing, dict) and _is_reddit(thing):
            yield thing


def unwrapped(value: Any) -> Any:
    """A post or a comment out of what Reddit wraps it in."""
    data = value.get("data") if isinstance(value, dict) and isinstance(value.get("kind"), str) else None
    return data if isinstance(data, dict) and _is_reddit(data) else value


def is_left_away(value: Any) -> bool:
    """Whether an object only says how many comments Reddit did not send."""
    return isinstance(value, dict) and value.get("kind") == "more" and isinstance(value.get("data"), dict)


def _is_play(value: Cells) -> bool:
    comments = value.get("comments")
    sides = {"userComment", "developerComment"}
    return "reviewId" in value and isinstance(comments, list) and any(sides & set(_object(each)) for each in comments)


def _play(value: Cells) -> Iterator[Cells]:
    """A review as Google Play's interface has it: what the user wrote; the developer's reply stands beside it."""
    kept = {name: each for name, each in value.items() if name != "comments"}
    replies = [_object(_object(each).get("developerComment")).get("text") for each in value["comments"]]
    reply = "\n".join(each for each in replies if isinstance(each, str))
    for comment in filter(None, (_object(_object(each).get("userComment")) for each in value["comments"])):
        modified = _object(comment.get("lastModified")).get("seconds")
        yield kept | comment | {"lastModified": modified} | ({"developerComment": reply} if reply else {})


def _is_note(question: str) -> bool:
    """Whether a question is for what people say about their choice, not for the choice."""
    return usual((question,), (*MEMO_NAMES, *_NOTES)) is not None


_NOTES = ("reason", "reasons", "explanation", "rationale", "remark", "remarks", "justification", "feedback", "rewrite")

_SHAPES: tuple[tuple[Callable[[Cells], bool], Callable[[Cells], Iterator[Cells]]], ...] = (
    (_is_label_studio, _label_studio),
    (_is_prodigy, _prodigy),
    (_is_argilla, _argilla),
    (_is_argilla_table, _argilla_table),
    (_is_argilla_1, _argilla_1),
    (_is_span_list, _span_list),
    (_is_entity_list, _entity_list),
    (_is_user_list, _user_list),
    (_is_reddit, _reddit),
    (_is_play, _play),
)
