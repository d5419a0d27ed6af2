"""Avaamo: sessions, messages, queries, transcripts, feedback and usage of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_botsessions.engine.schemas import load_settings
from tap_botsessions.engine.vendor import Vendor
from tap_botsessions.vendors.avaamo import account
from tap_botsessions.vendors.avaamo.comparisons import comparisons
from tap_botsessions.vendors.avaamo.streams import STREAMS

if TYPE_CHECKING:
    from tap_botsessions.engine.options import Options
    from tap_botsessions.engine.stream import VendorStream


def streams(options: Options) -> list[VendorStream]:
    """The streams, all of one account."""
    own = account.Account.of(options)
    return [stream(options, own) for stream in STREAMS]


AVAAMO = Vendor(
    name="Avaamo",
    prefix="avaamo",
    settings=load_settings(__name__),
    needs="avaamo_access_token with avaamo_base_url and avaamo_agent_ids",
    named_by=("avaamo_agent_ids",),
    urls=("avaamo_base_url",),
    headers=("avaamo_access_token", "avaamo_agent_tokens"),
    never_blank=("avaamo_agent_ids", "avaamo_agent_tokens"),
    is_configured=account.is_configured,
    problems=account.problems,
    unused=account.unused,
    secrets=account.secrets,
    streams=streams,
    comparisons=comparisons,
)
