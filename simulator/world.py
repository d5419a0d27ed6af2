"""The made-up data behind both APIs, its clock, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.later import Later
from simulator.streams import DAILY, STREAMS, WHOLE
from simulator.timeline import milliseconds

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.exchange import Vendor
    from simulator.kore.deletions import Deletion


class App(NamedTuple):
    """A Kore JWT app.

    Attributes:
        client_id: Named by the token's `appId` or `iss`.
        client_secret: Signs the token.
        algorithm: ``HS256`` or ``HS512``.
        scoped: Whether the app has the scope "Bot Sessions".
    """

    client_id: str
    client_secret: str
    algorithm: str = "HS256"
    scoped: bool = True


# The secret is long enough for HS512.
DEFAULT_APP = App("cs-simulated-client", "simulated-client-secret-" + "0" * 40)


@dataclass(kw_only=True, eq=False)
class World(Later):
    """Both vendors' data, all of it a function of the parameters.

    Attributes:
        agents: Avaamo's agent ids.
        bots: Kore's bot ids.
        avaamo_token: The one valid access token.
        agent_tokens: Tokens of agents themselves; others have one that `agent_token`
            makes.
        forbidden_agents: Agents the token has no permission on.
        app: The Kore app of every bot that `apps` does not name.
        apps: Kore apps by bot.
        ghosts: Records that lists count and don't serve: stream, bot, epoch
            milliseconds (see `hide`).
        lost: Records that lists neither count nor serve, though all else counts them,
            likewise (see `lose`).
        ownerless: Sessions of Kore's that lists of the account don't say the bot of,
            likewise (see `disown`).
        deletions: Jobs that delete conversations of Kore's, by their ids.
    """

    agents: tuple[str, ...] = ("201", "202")
    bots: tuple[str, ...] = (
        "st-0a1b2c3d-0001-5000-8000-000000000001",
        "st-0a1b2c3d-0002-5000-8000-000000000002",
    )
    avaamo_token: str = "simulated-access-token"  # noqa: S105 - made up
    agent_tokens: dict[str, str] = field(default_factory=dict)
    forbidden_agents: set[str] = field(default_factory=set)
    app: App = DEFAULT_APP
    apps: dict[str, App] = field(default_factory=dict)
    ghosts: set[tuple[str, str, int]] = field(default_factory=set)
    lost: set[tuple[str, str, int]] = field(default_factory=set)
    ownerless: set[tuple[str, str, int]] = field(default_factory=set)
    deletions: dict[str, Deletion] = field(default_factory=dict)

    def agent_token(self, agent: str | None) -> str:
        """Return the token of an agent itself."""
        return self.agent_tokens.get(agent or "", f"simulated-token-of-agent-{agent}")

    def agent_of(self, token: str | None) -> str | None:
        """Return the agent whose own token it is, if it is one."""
        return next(
            (agent for agent in self.agents if self.agent_token(agent) == token), None
        )

    def bots_of(self, stream: str) -> tuple[str, ...]:
        """Return the agents or the bots, whichever a stream is of."""
        bots: dict[Vendor, tuple[str, ...]] = {"avaamo": self.agents, "kore": self.bots}
        return bots[STREAMS[stream].vendor]

    def truth(
        self,
        stream: str,
        bot: str,
        start: datetime,
        end: datetime,
        *,
        utc_offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Return the vendor's records of a window, oldest first.

        Args:
            stream: Which records; of a daily stream, the response for each day.
            bot: Agent or bot.
            start: Start of the window (aware), inclusive.
            end: End of the window, exclusive.
            utc_offset: Seconds east of UTC of the days of a daily stream.
        """
        if stream in WHOLE:
            return [WHOLE[stream].record(self, bot)]
        if stream in DAILY:
            return DAILY[stream].days(self, bot, start, end, utc_offset)
        first, last = milliseconds(start), milliseconds(end) - 1
        return [self.record(row) for row in self.rows(stream, bot, first, last)]

    def expected(
        self, stream: str, start: datetime, end: datetime, *, utc_offset: int = 0
    ) -> dict[tuple[str, ...], dict[str, Any]]:
        """Return what a tap must emit of a window, of all agents or bots, by key.

        Args:
            stream: Which records.
            start: Start of the window (aware), inclusive.
            end: End of the window, exclusive.
            utc_offset: Seconds east of UTC of the days of a daily stream.
        """
        table = STREAMS[stream]
        records = [
            table.expected(bot, raw, utc_offset)
            for bot in self.bots_of(stream)
            for raw in self.truth(stream, bot, start, end, utc_offset=utc_offset)
        ]
        return {table.key_of(record): record for record in records}

    def count(self, stream: str, bot: str, start: datetime, end: datetime) -> int:
        """Return the number of records that `truth` would build."""
        return len(self.rows(stream, bot, milliseconds(start), milliseconds(end) - 1))

    def hide(self, stream: str, bot: str, at: datetime) -> None:
        """Let lists count the records of an instant, and not serve them."""
        self.ghosts.add((stream, bot, milliseconds(at)))

    def lose(self, stream: str, bot: str, at: datetime) -> None:
        """Let lists pass over the records of an instant, which all else counts."""
        self.lost.add((stream, bot, milliseconds(at)))

    def disown(self, bot: str, at: datetime) -> None:
        """Let Kore's lists of the account not say whose the sessions of an instant are.

        Args:
            bot: Whose they are.
            at: The instant.
        """
        self.ownerless.add(("kore_sessions", bot, milliseconds(at)))

    def heal(self) -> None:
        """Let lists serve all records as they are."""
        self.ghosts.clear()
        self.lost.clear()
        self.ownerless.clear()
