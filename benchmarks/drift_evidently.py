"""Evidently's drift report on windows of streams: a program for an environment of its own, which has Evidently.

The metrics are those of its drift preset (``ValueDrift`` of each column); its pictures, which take nearly all of the
time, are not drawn. Streams come as JSON lines on standard input; the smallest p-value of each report goes to standard
output.
"""

import json
import math
import sys
import warnings

warnings.filterwarnings("ignore")


def looks(rows, window, step, reference):
    """At every look: how many rows had come, and the smallest p-value over the columns."""
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
    report = Report([ValueDrift(column=column) for column in table.columns])
    found = []
    for end in range(2 * window, len(table) + 1, step):
        new = table.iloc[end - window : end]
        old = table.iloc[max(0, end - window - reference) : end - window]
        result = report.run(
            Dataset.from_pandas(new, data_definition=measured), Dataset.from_pandas(old, data_definition=measured)
        ).dict()
        metrics = [one for one in result["metrics"] if one["metric_name"].startswith("ValueDrift")]
        odd = [one["metric_name"] for one in metrics if "p_value" not in one["metric_name"]]
        if odd:
            raise SystemExit(f"no p-value: {odd}")
        values = [float(one["value"]) for one in metrics]
        found.append((end, min(value for value in values if not math.isnan(value))))
    return found


def main():
    """Read streams, write looks."""
    window, step, reference = (int(word) for word in sys.argv[1:4])
    for line in sys.stdin:
        given = json.loads(line)
        print(json.dumps({"key": given["key"], "looks": looks(given["rows"], window, step, reference)}), flush=True)


if __name__ == "__main__":
    main()
