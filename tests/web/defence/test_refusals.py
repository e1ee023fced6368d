"""What a page refuses is answered in one place, as a page for people and as JSON for programs."""

import ast
from html import unescape
from uuid import uuid4

import pytest

from tests.structure import modules
from tests.web.site import STUDY, fill, visit

BASE = f"/s/{STUDY}"


def wraps(handler: ast.ExceptHandler) -> bool:
    """Whether it turns a refusal into an answer of its own."""
    refusal = handler.type is not None and "InputError" in ast.unparse(handler.type)
    return refusal and any(
        isinstance(each, ast.Raise) and "HTTPException" in ast.unparse(each) for each in handler.body
    )


def test_no_page_answers_a_refusal_itself():
    handlers = [
        (module.path, node.lineno)
        for module in modules(("infra/web",))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and wraps(node)
    ]
    assert handlers == []


@pytest.mark.parametrize(
    ("path", "form", "sentence"),
    [
        ("memos", {"cause": uuid4(), "text": " ", "document": "mail"}, "The memo is empty"),
        ("comments", {"cause": uuid4(), "text": " "}, "The comment is empty"),
        ("views", {"name": " ", "query": "q=a"}, "The name has 0 characters"),
        ("codebook/compare?then=soon", None, "'soon' is no time"),
    ],
)
def test_a_refusal_is_a_sentence_on_a_page_and_the_same_for_programs(site, path, form, sentence):
    fill(site, 3)
    ana = visit(site, "annotator")

    def ask(**headers):
        address = f"{BASE}/{path}"
        return ana.get(address, headers=headers) if form is None else ana.post(address, data=form, headers=headers)

    page, answer = ask(), ask(accept="application/json")
    assert (page.status_code, answer.status_code) == (422, 422)
    assert answer.json()["detail"].startswith(sentence)
    assert answer.json()["detail"] in unescape(page.text)
