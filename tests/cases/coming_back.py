"""The cases about teaching: what other tools and people coded, and files that come back."""

from schemas.ids import normalised_label
from tests.cases.product import Product


def t01(product: Product) -> str:
    """Two coders, a file each."""
    product.taught("a/anna.csv", "two")
    product.taught("b/ben.csv", "two", coder="ben")
    printed = product.run("agreement", "--study", "two").out
    assert "4 segments coded by people, 4 of them by two or more" in printed
    assert "alpha  1.000" in printed
    return "4 segments, alpha 1.000, kappa 1.000"


def t02(product: Product) -> str:
    """A corrected file under another name."""
    product.taught("t_v1.csv", "v")
    product.taught("t_v2.csv", "v")
    assert product.coded("v") == {"The rent went up again": ["rent"], "Heating costs doubled": ["heating"]}
    return "rent, heating, and no code for 'All fine here'"


def t03(product: Product) -> str:
    """MAXQDA's coded segments."""
    product.taught("t_maxqda.xlsx", "m")
    codes = product.coded("m")
    assert len(codes) == 3
    assert codes["Nobody said how long it would take"] == ["Communication", "Waiting time"]
    assert product.codebook("m")["Waiting time"]["theme"] == "Access"
    assert "check again" in {label["memo"] for label in product.labels("m")}
    return "3 texts, one with two codes; 'Waiting time' under 'Access'; memo and document kept"


def t04(product: Product) -> str:
    """ATLAS.ti's quotations."""
    done = product.taught("t_atlas.xlsx", "a")
    assert set(product.coded("a")) == {"The nurse was very kind", "I sat there for two hours"}
    assert "ask about triage" in {label["memo"] for label in product.labels("a")}
    assert "Quotation Content" in done.words
    return "the quotations are the texts, the comments memos; which column was taken is said"


def t05(product: Product) -> str:
    """Codes between commas."""
    product.taught("t_comma.csv", "c")
    assert {code for codes in product.coded("c").values() for code in codes} == {"rent", "heating", "deposit"}
    return "rent, heating, deposit; said; --separator"


def t06(product: Product) -> str:
    """Doccano's export."""
    product.taught("t_doccano.csv", "d")
    assert product.coded("d") == {"The rent went up again": ["heating", "rent"], "Heating costs doubled": ["heating"]}
    return 'rent and heating; also Label Studio\'s {"choices": [...]}'


def t07(product: Product) -> str:
    """Labels out and in again."""
    product.taught("t_semis.jsonl", "se")
    out = product.folder / "labels.csv"
    product.run("export", "--labels", "--study", "se", "--out", out)
    product.run("teach", out, "--study", "rt", "--coder", "ben")
    assert product.coded("rt") == product.coded("se")
    assert set(product.codebook("rt")) == {"Delivery; late", "Food | cold", "=important"}
    assert {label["annotator"] for label in product.labels("rt")} == {"anna"}
    return "3 codes, '= strange' as it was, the file's own coder kept"


def t08(product: Product) -> str:
    """Spellings of one code."""
    product.taught("t_case.csv", "k")
    spellings = {normalised_label(label) for label in product.codebook("k")}
    assert spellings == {"billing error", "café", "waiting-time", "waiting time"}
    return "case, blanks and accents folded; 'waiting-time' apart"


def t09(product: Product) -> str:
    """Codes as columns."""
    product.taught("t_wide.csv", "w")
    assert product.coded("w")["Rent and heating eat my wage"] == ["heating", "rent"]
    return "columns of yes and no are codes; said"


def t10(product: Product) -> str:
    """A codebook."""
    product.taught("t_codebook.csv", "b")
    book = product.codebook("b")
    assert (book["Access"]["level"], book["Access"]["definition"]) == ("theme", "Everything before the visit")
    assert (book["Waiting time"]["theme"], book["Waiting time"]["definition"]) == ("Access", "Time in the waiting room")
    assert book["Staff"]["level"] == "code"
    return "codes, definitions and themes; qualstream codebook import"


def t11(product: Product) -> str:
    """Rows that are not coded."""
    done = product.taught("t_blank.csv", "x")
    assert len(product.coded("x")) == 2
    assert "line 3" in done.words
    return "2 texts taught, line 3 named"


def t12(product: Product) -> str:
    """Codes that are numbers."""
    product.taught("t_numeric.xlsx", "n")
    assert {"2", "3"} <= set(product.codebook("n"))
    return "'3' and '2'"


def t13(product: Product) -> str:
    """The same file after a code was renamed."""
    product.taught("r/codes.csv", "ren")
    product.rename("ren", "rent", "housing costs")
    product.taught("r/codes.csv", "ren")
    assert "rent" not in product.codebook("ren")
    assert product.coded("ren")["The rent went up again"] == ["housing costs"]
    return "codes follow; no old code comes back"


def t14(product: Product) -> str:
    """A name that another code has now."""
    product.taught("r/codes.csv", "ren")
    product.rename("ren", "rent", "housing costs")
    product.rename("ren", "heating", "rent")
    product.taught("r/later.csv", "ren", coder="ben")
    assert product.coded("ren")["New contract costs more"] == ["rent"]
    planned = product.planned("r/later2.csv", "ren", "cleo")
    assert [word.labels for word in planned.annotations] == [["rent"]]
    return "teach and import: the code that is called rent now"


def t15(product: Product) -> str:
    """Labels by the source's own id, and by a text with a blank behind it."""
    product.run("ingest", product.file("kill2.csv"), "--study", "kill2")
    by_id = product.planned("i_ids.csv", "kill2", "anna")
    by_text = product.planned("i_text.csv", "kill2", "ben")
    assert (len(by_id.annotations), by_id.unmatched) == (3, [])
    assert {word.own_id for word in by_id.annotations} == {None}
    assert len(by_text.annotations) == 2
    return "3 of 3 by id; texts without their outer blanks"


def t16(product: Product) -> str:
    """Day-first times, and a column a coder."""
    product.run("ingest", product.file("kill2.csv"), "--study", "kill2")
    dated = product.planned("i_dates2.csv", "kill2")
    assert [word.decided_at.isoformat()[:10] for word in dated.annotations] == ["2026-02-13", "2026-02-03"]
    coders = product.planned("i_coders.csv", "kill2")
    assert {(word.annotator, *word.labels) for word in coders.annotations} == {("anna", "dirty"), ("ben", "clean")}
    return "the order is told from the column; coder_anna and coder_ben are two coders"


COMING_BACK = {
    f"T{n:02}": case
    for n, case in enumerate((t01, t02, t03, t04, t05, t06, t07, t08, t09, t10, t11, t12, t13, t14, t15, t16), 1)
}
