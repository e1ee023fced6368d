"""Writes review_proposals.jsonl: what the members of `tiny` proposed for the reviews that come with Qualstream.

From the project's root:

    qualstream code infra/data/reviews.jsonl | python tests/data/record_proposals.py > tests/data/review_proposals.jsonl

The tests take it as an input like any other: it need not be written anew when the members are tuned again.
"""

import json
import sys

KEPT = ("member", "model", "label", "fault", "log_probability")

for line in sys.stdin:
    coded = json.loads(line)
    proposed = [
        {name: round(one[name], 4) if name == "log_probability" else one[name] for name in KEPT}
        for one in coded["proposals"]
    ]
    print(json.dumps({"text": coded["text"], "proposals": proposed}, ensure_ascii=False))
