"""What a seed stands for: a world, settings, and runs of the tap one after another."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.streams import STREAMS
from tests.chaos.nemesis import Weather

if TYPE_CHECKING:
    from simulator import World

START = datetime(2026, 3, 1, tzinfo=UTC)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

MOST_SKEW = HOUR
"""How far the tap's clock may be off, where the vendor's time is not shown."""

MARGIN = MOST_SKEW + HOUR

FEW = 10
"""More sessions of a bot than this may be open."""

LATEST = 6 * HOUR
"""How late a late record of the world may be."""


@dataclass(frozen=True)
class Trouble:
    """What is wrong with single records in one run.

    Attributes:
        hides: So many more are counted and not served.
        disowns: So many more come from Kore.ai's account without their bot.
        heals: The share that is put right of those of earlier runs.
        unmappable: A stream and the bot on whose records its map fails.
        seed: Of which ones they are.
    """

    hides: int = 0
    disowns: int = 0
    heals: float = 1.0
    unmappable: tuple[str, str] | None = None
    seed: int = 0


@dataclass(frozen=True)
class Step:
    """One run of the tap.

    Attributes:
        after: The time from the end of the run before to the beginning of this one.
        unit: Its beginning is a whole number of these.
        skew: How far the tap's clock is ahead of the vendor's.
        forgets: So many states before it are forgotten.
        settings: Those that are set anew for each run.
        weather: What goes wrong.
        trouble: What is wrong with single records.
    """

    after: timedelta
    unit: timedelta = timedelta(milliseconds=1)
    skew: timedelta = timedelta(0)
    forgets: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    weather: Weather = field(default_factory=Weather)
    trouble: Trouble = field(default_factory=Trouble)

    def begin(self, world: World) -> datetime:
        """Set a world's clock to where the run begins."""
        past = datetime.fromtimestamp(world.now, UTC) - START + self.after
        now = START - (-past // self.unit) * self.unit
        world.now = now.timestamp()
        return now


@dataclass(frozen=True)
class Plan:
    """All that a seed decides.

    Attributes:
        seed: The seed.
        world: Arguments of the world.
        options: Of the simulator.
        settings: Of the tap, those of the vendors' connections left out.
        limits: Those of the tap that are moved.
        vendors: Those that are read.
        streams: Likewise, of these vendors.
        is_real: Whether the tap is a process of its own, and so is what it writes to.
        in_batches: Whether records come in files.
        is_verbose: Whether the log is as detailed as can be.
        is_audited: Whether the windows that were read are recorded.
        fixed: Settings that are the same in each run, while others may not be.
        steps: The runs; nothing goes wrong in the last one.
        is_swept: Whether each run looks again at all that was read before.
    """

    seed: int
    world: dict[str, Any]
    options: dict[str, Any]
    settings: dict[str, Any]
    limits: dict[str, Any]
    vendors: tuple[str, ...]
    streams: tuple[str, ...]
    is_real: bool
    in_batches: bool
    is_verbose: bool
    is_audited: bool
    fixed: dict[str, Any]
    steps: list[Step]
    is_swept: bool = False

    @property
    def bots(self) -> dict[str, list[str]]:
        """The bots of each stream that is read."""
        bots = {"avaamo": self.world["agents"], "kore": self.world["bots"]}
        return {
            name: list(bots[stream.vendor])
            for name, stream in STREAMS.items()
            if name in self.streams and stream.vendor in self.vendors
        }

    @property
    def all_bots(self) -> list[tuple[str, str]]:
        """All of them, each with its stream."""
        return [(stream, bot) for stream, bots in self.bots.items() for bot in bots]

    @property
    def needs_catalog(self) -> bool:
        """Whether the streams are others than those that are read by default."""
        own = {
            name
            for name, stream in STREAMS.items()
            if stream.is_selected and stream.vendor in self.vendors
        }
        return self.is_audited or own != self.bots.keys()

    @property
    def is_account(self) -> bool:
        """Whether requests to Kore.ai name no bot."""
        return bool(self.settings["kore_api"] == "account")

    @property
    def is_silent(self) -> bool:
        """Whether a vendor leaves some requests without an answer for good."""
        return self.options.get("too_wide") == "nothing"

    @property
    def shows_time(self) -> bool:
        """Whether all answers show the vendor's time."""
        return bool(self.options["date"] == "world")

    @property
    def start(self) -> datetime:
        """The first instant to read."""
        return datetime.fromisoformat(self.settings["start_date"])

    @property
    def lookback(self) -> timedelta:
        """How far a run steps back."""
        return timedelta(hours=self.settings["lookback_hours"])

    @property
    def reaches_back(self) -> bool:
        """Whether the lookback is long enough for all that comes late."""
        return self.lookback >= LATEST + MARGIN

    @property
    def owes_late(self) -> bool:
        """Whether all must have come in the end, whenever it appeared."""
        if self.is_swept:
            return True
        return self.reaches_back or not self.world["late_fraction"]

    @property
    def follows(self) -> bool:
        """Whether open sessions are asked for until they are closed."""
        return bool(self.settings["kore_open_session_days"])

    @property
    def follows_for(self) -> timedelta:
        """For how long."""
        return timedelta(days=self.settings["kore_open_session_days"])

    @property
    def follows_few(self) -> bool:
        """Whether some may be too many, so that their time is read again instead."""
        return bool(self.limits["max_followed"] < FEW)

    @property
    def filters(self) -> bool:
        """Whether only some sessions are asked for."""
        names = {"kore_containment_types", "kore_session_type"}
        return not names.isdisjoint(self.settings)

    def asks_for(self, containment_type: str | None, session_type: str | None) -> bool:
        """Whether sessions of these kinds are asked for; none is any."""
        types = self.settings.get("kore_containment_types")
        kind = self.settings.get("kore_session_type")
        return _is_any_of(types, containment_type) and _is_any_of(
            [kind] if kind else None, session_type
        )

    def end(self, now: datetime, step: Step) -> datetime:
        """Up to where a run reads that begins at an instant."""
        end = now + step.skew
        if "end_date" in self.settings:
            end = min(end, datetime.fromisoformat(self.settings["end_date"]))
        return end


def _is_any_of(wanted: list[str] | None, word: str | None) -> bool:
    """Whether a word of Kore.ai's is wanted, however it is written."""
    known = {each.lower() for each in wanted or ()}
    return not known or word is None or word.lower() in known
