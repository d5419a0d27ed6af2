"""What the streams of one run share: failures, signals, the audit trail, the state."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import OutputError
from tap_botsessions.singer.audit import SyncWindows
from tap_botsessions.singer.checkpoints import Checkpoints
from tap_botsessions.singer.writer import PieceWriter, Shutdown, die_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk import Tap

    from tap_botsessions.engine.errors import Failure
    from tap_botsessions.engine.options import Options


class Run:
    """One run of the tap.

    Attributes:
        options: What it is asked to do.
        failures: The bots that failed.
        audit: The audit trail.
        shutdown: Ends the run at a signal.
        checkpoints: Writes the state.
    """

    def __init__(self, tap: Tap, options: Options) -> None:
        """Prepare a run.

        Args:
            tap: The tap, whose writer and state are used.
            options: What the run is asked to do.
        """
        self._tap = tap
        self.options = options
        self.failures: list[Failure] = []
        self.audit = SyncWindows(tap, self.failures)
        self.checkpoints = Checkpoints(self._write_state, options.limits)
        self.shutdown = Shutdown(self._write_rest)
        self._is_syncing = False

    @contextmanager
    def syncing(self) -> Iterator[None]:
        """Have a signal end what the block reads in good order.

        What is changed of the process for that is put back at the end.
        """
        thresholds = gc.get_threshold()
        # Records come and go by the thousand and hold no cycles: the collector would
        # go through them again and again for nothing.
        gc.freeze()
        gc.set_threshold(100_000, 50, 50)
        self._is_syncing = True
        try:
            yield
        finally:
            self._is_syncing = False
            gc.set_threshold(*thresholds)
            gc.unfreeze()
            self.shutdown.cancel()

    def handle_signal(self, number: int) -> None:
        """End the run in good order, and the process by the signal."""
        if not self._is_syncing:
            die_of(number)
        self.shutdown.request(number)

    def _write_state(self) -> None:
        """Write the state, if it may be written now.

        In BATCH mode the records leave later, and the SDK writes the state then.
        """
        if self.options.config.get("batch_config"):
            return
        writer = self._tap.message_writer
        if isinstance(writer, PieceWriter):
            writer.write_state(self._tap.state)
        else:
            self._tap.state_writer.write_state(self._tap.state)

    def has_written(self, state: object) -> bool:
        """Whether a state is one that this run has written."""
        writer = self._tap.message_writer
        return isinstance(writer, PieceWriter) and writer.has_written(state)

    def flush(self) -> None:
        """Have what was written leave this process."""
        if isinstance(self._tap.message_writer, PieceWriter):
            self._tap.message_writer.flush()

    @contextmanager
    def flushing(self) -> Iterator[None]:
        """Write the state and flush at the end of the block.

        But not where something before it could not be written.
        """
        try:
            yield
        except OutputError:
            raise
        except BaseException:
            self._write_rest()
            raise
        self._write_rest()

    def _write_rest(self) -> None:
        self.checkpoints.write()
        self.flush()
