"""Reads bytes as a file of segments, and keeps what was said of it."""

from pathlib import Path

from infra.files.segments import LeftOut, ReadingOptions, Rejected, read_segments
from schemas import Segment


class Read:
    """A file that was read."""

    def __init__(self, folder: Path, content: bytes | str, name: str = "reviews.csv", **options) -> None:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        columns = {name: options.pop(name) for name in ("text_column", "id_column", "time_column") if name in options}
        self.options = ReadingOptions(**options)
        items = list(read_segments(path, study="demo", options=self.options, **columns))
        self.segments = [item for item in items if isinstance(item, Segment)]
        self.left_out = [item for item in items if isinstance(item, LeftOut)]
        self.rejected = [item for item in items if isinstance(item, Rejected) and not isinstance(item, LeftOut)]

    @property
    def texts(self) -> list[str]:
        return [segment.text for segment in self.segments]

    @property
    def ids(self) -> list[str | None]:
        return [segment.own_id for segment in self.segments]

    @property
    def times(self) -> list[str | None]:
        return [segment.timestamp and segment.timestamp.isoformat() for segment in self.segments]

    @property
    def remarks(self) -> str:
        return "\n".join(self.options.report.remarks)

    @property
    def warnings(self) -> str:
        return "\n".join(self.options.report.warnings)

    @property
    def summaries(self) -> str:
        return "\n".join(self.options.report.summaries())
