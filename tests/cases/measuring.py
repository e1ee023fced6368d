"""The cases about measuring: drift, simulated learning, agreement, evaluation."""

import json
from typing import Any

from infra.experiments.active_learning.datasets import CodedTexts, Columns, read_coded
from infra.files.gold import read_gold, read_predictions
from tests.cases.product import Product


def scanned(product: Product, name: str) -> str:
    """What a scan says of a file."""
    done = product.run("drift", "scan", product.file(name), "--no-embed")
    return f"{done.out}\n{done.words}"


def d01(product: Product) -> str:
    """Day-first dates."""
    printed = scanned(product, "d_dmy.csv")
    assert "240" in printed
    assert "the day comes first" in printed
    return "240 rows; the order is told from the column and printed"


def d02(product: Product) -> str:
    """Months, month names and zones."""
    for name in ("d_month.csv", "d_german.csv", "d_tzoff.csv"):
        assert "240" in scanned(product, name), name
    return "months as their first day, month names, zones"


def d03(product: Product) -> str:
    """Dates far outside the rest."""
    printed = scanned(product, "d_typo.csv").casefold()
    assert "2 " in printed
    assert any(word in printed for word in ("far", "implausible", "1970"))
    return "2 rows with times far outside the rest are printed"


def d04(product: Product) -> str:
    """Two codes that turn over completely."""
    for name in ("d_step_binary.csv", "d_step_third.csv"):
        assert "no change found" not in scanned(product, name).casefold(), name
    return "found"


def d05(product: Product) -> str:
    """Too few rows."""
    for name in ("d_few.csv", "d_short240.csv"):
        printed = scanned(product, name).casefold()
        assert "no change found" not in printed, name
        assert "too few" in printed or name == "d_short240.csv"
    return "'too few to tell', with the numbers"


def simulated(product: Product, name: str) -> CodedTexts:
    """What `learn simulate` reads of a file."""
    return read_coded(product.file(name), Columns())


def a01(product: Product) -> str:
    """Texts that are not coded yet."""
    read = simulated(product, "al_unlab.csv")
    assert len(read.texts) == 40
    assert any("20 texts are not coded yet" in note for note in read.notes)
    return "40 texts; the 20 without codes are left out and counted"


def a02(product: Product) -> str:
    """Labels that differ in case."""
    assert {len(simulated(product, name).codes) for name in ("al_case.csv", "al_case.jsonl")} == {2}
    return "2 codes"


def a03(product: Product) -> str:
    """A row a code."""
    read = simulated(product, "al_duprows.csv")
    assert set(read.codes) == {"price", "crash", "mobile"}
    assert any("their codes are joined" in note for note in read.notes)
    return "codes of equal texts joined and counted; teach's separators"


def a04(product: Product) -> str:
    """One code for all."""
    assert any("nothing to tell apart" in note for note in simulated(product, "al_allsame.csv").notes)
    return "runs, and says that there is nothing to tell apart"


def a05(product: Product) -> str:
    """The columns and forms that teach takes."""
    sizes = {
        len(simulated(product, f"al_{name}").texts) for name in ("numeric.jsonl", "codes.csv", "Text.csv", "array.json")
    }
    assert len(sizes) == 1
    return "all four are read"


def a06(product: Product) -> str:
    """A code of one text."""
    assert any("once only" in note for note in simulated(product, "al_rare.csv").notes)
    return "runs, and names the code"


def agreement(product: Product, name: str) -> dict[str, Any]:
    """The agreement of a file's columns of coders."""
    with product.file(f"{name}.csv").open() as lines:
        coders = [column for column in next(lines).strip().split(",") if column not in ("id", "text")]
    for coder in coders:
        product.taught(f"{name}.csv", name, "--codes-column", coder, coder=coder)
    figures: dict[str, Any] = json.loads(product.run("agreement", "--study", name, "--json").out)
    return figures


def e01(product: Product) -> str:
    """Alpha and kappa with missing codings."""
    alphas = [
        agreement(product, name)["overall"]["alpha"]["value"]
        for name in ("g_missing", "g_kripp", "g_onedis", "g_same", "g_kappa")
    ]
    assert alphas == [1.0, 0.7434, 0.0, None, 0.575]
    return "alpha 1.000, 0.743, 0.000, none with its reason, 0.575"


def e02(product: Product) -> str:
    """Intervals of a code's alpha."""
    codes = agreement(product, "g_kripp")["codes"]
    ends = [(code["alpha"]["low"], code["alpha"]["high"]) for code in codes if code["alpha"]["high"] is not None]
    assert ends
    assert all(low >= -1 and high <= 1 for low, high in ends)
    return "every high at most 1: " + ", ".join(f"{low:.2f} to {high:.2f}" for low, high in ends)


def e03(product: Product) -> str:
    """Ids that pandas wrote."""
    lines = [json.loads(line) for line in product.file("e_gold.jsonl").read_text().splitlines()]
    gold = product.folder / "float.jsonl"
    gold.parent.mkdir(parents=True, exist_ok=True)
    gold.write_text("".join(json.dumps({**line, "id": float(line["id"])}) + "\n" for line in lines))
    read = read_predictions(product.file("e_pred_int.jsonl"), read_gold(gold))
    assert read.codes[0] == ("rent increase",)
    return "1.0 matches 1"


def e04(product: Product) -> str:
    """Equal texts."""
    read = read_predictions(product.file("e_pred_uuid.jsonl"), read_gold(product.file("e_gold.jsonl")))
    assert len(read.codes) == 6
    return "by own id, else in order"


def e05(product: Product) -> str:
    """Gold as a table, with texts without a code."""
    assert len(read_gold(product.file("e_gold.csv")).rows) == 2
    assert len(read_gold(product.file("e_gold_code.jsonl")).rows) == 2
    empty = read_gold(product.file("e_gold_empty.jsonl"))
    read = read_predictions(product.file("e_pred_int.jsonl"), empty)
    assert (len(empty.none_fits), read.none_fits) == (1, 0)
    return "CSV, `code`, and an empty list: counted apart as 'no code fits'"


DRIFT = {"D01": d01, "D02": d02, "D03": d03, "D04": d04, "D05": d05}
MEASURING = {
    **{"A01": a01, "A02": a02, "A03": a03, "A04": a04, "A05": a05, "A06": a06},
    **{"E01": e01, "E02": e02, "E03": e03, "E04": e04, "E05": e05},
}
