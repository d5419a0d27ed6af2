"""Kore.ai: sessions, messages, feedback and analytics of bots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_botsessions.engine.schemas import load_settings
from tap_botsessions.engine.vendor import Vendor
from tap_botsessions.vendors.kore import account
from tap_botsessions.vendors.kore.comparisons import comparisons
from tap_botsessions.vendors.kore.streams import STREAMS

if TYPE_CHECKING:
    from tap_botsessions.engine.options import Options
    from tap_botsessions.engine.stream import VendorStream


def streams(options: Options) -> list[VendorStream]:
    """The streams, all of one host."""
    own = account.Account(options)
    return [stream(options, own) for stream in STREAMS]


KORE = Vendor(
    name="Kore.ai",
    prefix="kore",
    settings=load_settings(__name__),
    needs="kore_client_id and kore_client_secret with kore_bot_ids",
    named_by=("kore_bot_ids", "kore_client_id", "kore_client_secret"),
    urls=("kore_base_url",),
    headers=(),
    never_blank=(
        "kore_bot_credentials",
        "kore_bot_ids",
        "kore_client_id",
        "kore_client_secret",
        "kore_session_ids",
    ),
    is_configured=account.is_configured,
    problems=account.problems,
    unused=account.unused,
    secrets=account.secrets,
    streams=streams,
    comparisons=comparisons,
)
