"""Evidently's statistical tests on windows of streams: a program for an environment of its own, which has Evidently.

The tests are those of its drift preset, called by name from its own registry: a whole report computes the same numbers
and, beside them, pictures and summaries that take nearly all of the time. A p-value comes as ``-log10`` of it, a
distance as it is, so that higher is more.

Streams come as JSON lines on standard input; what each test says of each column at every look goes to standard output.
"""

import json
import math
import sys
import warnings

warnings.filterwarnings("ignore")
P_VALUES = ("chisquare", "ks")
COLUMNS = ("code", "source", "confidence", "agreement", "accepted")
NUMBERS = ("confidence", "agreement")
SUREST = 300.0


def looks(rows, window, step, reference, methods):
    """At every look: how many rows had come, and by test and column how far it drifted."""
    import pandas
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    table = pandas.DataFrame(rows, columns=COLUMNS)
    known = [column for column in COLUMNS if table[column].notna().any()]
    found = []
    for end in range(window + min(reference, window), len(table) + 1, step):
        new, old = table.iloc[end - window : end], table.iloc[max(0, end - window - reference) : end - window]
        drifts = {}
        for column in known:
            kind = ColumnType.Numerical if column in NUMBERS else ColumnType.Categorical
            for method in ["ks"] if column in NUMBERS else methods:
                before, after = (part[column].dropna() for part in (old, new))
                if len(before) and len(after):
                    test = get_stattest(before, after, kind, method)
                    value = test(before, after, kind, None).drift_score
                    drifts.setdefault(method, {})[column] = as_drift(method, float(value))
        found.append((end, drifts))
    return found


def as_drift(method, value):
    """Higher for more, whatever the test gives."""
    if math.isnan(value):
        return 0.0
    return min(SUREST, -math.log10(max(value, 10**-SUREST))) if method in P_VALUES else value


def main():
    """Read streams, write looks."""
    window, step, reference = (int(word) for word in sys.argv[1:4])
    for line in sys.stdin:
        given = json.loads(line)
        seen = looks(given["rows"], window, step, reference, sys.argv[4:])
        print(json.dumps({"key": given["key"], "looks": seen}), flush=True)


if __name__ == "__main__":
    main()
