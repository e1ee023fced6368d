"""Evidently's drift report on windows of streams: a program for an environment of its own, which has Evidently.

The metrics are those of its drift preset (``ValueDrift`` of each column), but for two things. Its pictures, which take
nearly all of the time, are not drawn. And columns of categories are compared by their Jensen-Shannon distance, which is
its own choice above 1,000 rows, where below it takes chi-square: of a category that the reference happens not to have,
that makes a p-value of 0, which no threshold can tell from a change.

Streams come as JSON lines on standard input; every report's drift by column goes to standard output, higher for more.
"""

import json
import math
import sys
import warnings

warnings.filterwarnings("ignore")


def looks(rows, window, step, reference):
    """At every look: how many rows had come, and by column how far it drifted (a distance, or one minus a p-value)."""
    import pandas
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.metrics.column_statistics import ValueDriftCalculation

    ValueDriftCalculation._render = lambda *_: []
    table = pandas.DataFrame(rows, columns=["code", "source", "confidence", "agreement", "accepted"])
    table["accepted"] = table["accepted"].map({True: "kept", False: "overridden"})
    measured = DataDefinition(
        categorical_columns=["code", "source", "accepted"], numerical_columns=["confidence", "agreement"]
    )
    numbers = ("confidence", "agreement")
    methods = {column: "ks" if column in numbers else "jensenshannon" for column in table.columns}
    report = Report([ValueDrift(column=column, method=method) for column, method in methods.items()])
    found = []
    for end in range(2 * window, len(table) + 1, step):
        new = table.iloc[end - window : end]
        old = table.iloc[max(0, end - window - reference) : end - window]
        result = report.run(
            Dataset.from_pandas(new, data_definition=measured), Dataset.from_pandas(old, data_definition=measured)
        ).dict()
        values = {one["config"]["column"]: float(one["value"]) for one in result["metrics"]}
        drifts = {c: 1 - value if methods[c] == "ks" else value for c, value in values.items()}
        found.append((end, {c: drift for c, drift in drifts.items() if not math.isnan(drift)}))
    return found


def main():
    """Read streams, write looks."""
    window, step, reference = (int(word) for word in sys.argv[1:4])
    for line in sys.stdin:
        given = json.loads(line)
        print(json.dumps({"key": given["key"], "looks": looks(given["rows"], window, step, reference)}), flush=True)


if __name__ == "__main__":
    main()
