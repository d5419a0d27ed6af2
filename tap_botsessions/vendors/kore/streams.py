"""Kore.ai's streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_botsessions.vendors.kore.analytics import KoreAnalytics
from tap_botsessions.vendors.kore.bots import KoreBots
from tap_botsessions.vendors.kore.feedback import KoreFeedback
from tap_botsessions.vendors.kore.messages import KoreMessages
from tap_botsessions.vendors.kore.sessions import KoreSessions

if TYPE_CHECKING:
    from tap_botsessions.vendors.kore.lists import KoreListStream

STREAMS: tuple[type[KoreListStream | KoreBots], ...] = (
    KoreSessions,
    KoreMessages,
    KoreFeedback,
    KoreAnalytics,
    KoreBots,
)
