"""Stratified counts as JSON, for a restart that changes nothing. The keys are those of states that are kept on disk."""

from collections import deque
from typing import Any
from uuid import UUID

from models.drift.counts.caps import EARLIER, ROW
from models.drift.counts.snapshots import (
    CLOCK,
    decode_blocks,
    decode_hours,
    decode_sparse,
    encode_blocks,
    encode_hours,
    encode_sparse,
)
from models.drift.counts.stratified import OpenBlock, RecentSegment, StratifiedCounts


def encode_counts(table: StratifiedCounts) -> dict[str, Any]:
    """Everything of the counts, ready for JSON.

    >>> table = StratifiedCounts()
    >>> table.add(0.0, UUID(int=1), ("shop", ""), "late")
    >>> decode_counts(encode_counts(table)).recent == table.recent
    True
    """
    history, block = table.history, table.open_block
    return {
        "steps": list(table.steps),
        "repeats": table.repeats,
        "strata": table.strata,
        "cells": table.cells,
        "groups": table.groups,
        "shape": list(table.counts.shape),
        "now": encode_sparse(table.counts),
        "marks": encode_blocks(history.blocks),
        "own": [[column, *encode_blocks([start])] for column, start in history.rebased.items()],
        "present": encode_sparse(table.strata_by_hour),
        "hours": encode_sparse(table.cells_by_hour),
        "clocks": encode_hours(history.hours),
        "began": [[column, *encode_hours([start])] for column, start in history.hours_since.items()],
        "begins": sorted(history.hours_pending),
        "recent": [[s.at, s.segment.hex, s.stratum, s.cell] for s in table.recent],
        "kept": history.reference_end,
        "open": [block.rows, block.columns, block.times],
        "runs": [list(run) for run in table.caps.runs],
        "earlier": [list(run) for run in table.caps.earlier],
        "caps": table.caps.caps,
    }


def decode_counts(state: dict[str, Any]) -> StratifiedCounts:
    """Go on from :func:`encode_counts`."""
    table = StratifiedCounts(tuple(state["steps"]), repeats=state["repeats"])
    rows, columns = state["shape"]
    table.strata, table.cells, table.groups = dict(state["strata"]), dict(state["cells"]), list(state["groups"])
    table.counts = decode_sparse(state["now"], (rows, columns))
    table.strata_by_hour = decode_sparse(state["present"], (rows, CLOCK))
    table.cells_by_hour = decode_sparse(state["hours"], (CLOCK, columns))
    table.recent.extend(
        RecentSegment(at, UUID(segment), stratum, cell) for at, segment, stratum, cell in state["recent"]
    )
    table.open_block = OpenBlock(*(list(part) for part in state["open"]))
    table.caps.runs = [deque(run, maxlen=ROW) for run in state["runs"]]
    earlier = state.get("earlier", [()] * len(state["runs"]))  # not in the states of before
    table.caps.earlier = [deque(run, maxlen=EARLIER) for run in earlier]
    table.caps.caps = [list(row) for row in state["caps"]]
    _decode_history(table, state, (rows, columns))
    return table


def _decode_history(table: StratifiedCounts, state: dict[str, Any], shape: tuple[int, int]) -> None:
    history = table.history
    history.blocks, history.hours = decode_blocks(state["marks"], shape), decode_hours(state["clocks"], shape)
    history.rebased = {column: decode_blocks([start], shape)[0] for column, start in state["own"]}
    history.hours_since = {column: decode_hours([start], shape)[0] for column, start in state["began"]}
    history.hours_pending = set(state["begins"])
    history.reference_end = state["kept"]
