"""Output that is written piece by piece."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from typing_extensions import override

from tap_botsessions.singer.writer import PieceWriter


class Narrow(BytesIO):
    """A file without a buffer, as standard output is under PYTHONUNBUFFERED."""

    @override
    def write(self, content: Any) -> int:
        return super().write(content[:7])


def test_a_file_that_takes_a_part_at_a_time_gets_all_of_it() -> None:
    file = Narrow()
    writer = PieceWriter(1 << 16, file)
    writer.write_records("kore_sessions", [{"n": n} for n in range(50)])
    writer.flush()
    records = [json.loads(line)["record"] for line in file.getvalue().splitlines()]
    assert records == [{"n": n} for n in range(50)]
