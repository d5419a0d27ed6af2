"""The settings: their names, types, defaults, bounds and descriptions.

Those of a vendor are with the vendor, all others here. docs/settings.md, meltano.yml
and `--about` are made from them, or compared with them by tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_botsessions.engine.options import is_given
from tap_botsessions.vendors import VENDORS

if TYPE_CHECKING:
    from tap_botsessions.engine.options import Config
    from tap_botsessions.engine.vendor import Vendor

READING = (
    th.Property(
        "start_date",
        th.DateTimeType,
        required=True,
        title="Start date",
        description="The earliest instant to read.",
        examples=["2026-01-01T00:00:00Z"],
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description=(
            "The instant to read up to, itself excluded; the moment at which the run "
            "began if not given or later than that."
        ),
        examples=["2026-02-01T00:00:00Z"],
    ),
    th.Property(
        "window_days",
        th.NumberType(exclusive_minimum=0, maximum=6),
        default=6,
        title="Window days",
        description="The widest span that is read and checked as a whole.",
    ),
    th.Property(
        "lookback_hours",
        th.NumberType(minimum=0, maximum=876_000),
        default=1,
        title="Lookback hours",
        description="How far each run steps back for records that arrived late.",
    ),
    th.Property(
        "sweep_days",
        th.NumberType(minimum=0, maximum=36_500),
        default=30,
        title="Sweep days",
        description=(
            "How far back what was read is looked at again: for each day the vendor's "
            "count is compared with what came, and a day that has changed is read "
            "again whole, so that what comes later than lookback_hours or is erased "
            "is found. 0: not at all."
        ),
    ),
    th.Property(
        "sweep_hours",
        th.NumberType(minimum=0, maximum=876_000),
        default=24,
        title="Sweep hours",
        description="How often that is done at most; 0: in each run.",
    ),
    th.Property(
        "sweep_full_every",
        th.IntegerType(minimum=1),
        default=7,
        title="Sweep in full every",
        description=(
            "Each time after so many sweeps a span of days in turn is read again "
            "whatever is counted, so that a record that took the place of another one "
            "is found; of avaamo_usage each sweep reads such a part of sweep_days."
        ),
    ),
    th.Property(
        "max_concurrent_requests",
        th.IntegerType(minimum=1, maximum=64),
        default=8,
        title="Concurrent requests",
        description=(
            "Requests in flight at most, over all bots of a stream; streams are read "
            "one after another."
        ),
    ),
    th.Property(
        "request_timeout_seconds",
        th.NumberType(exclusive_minimum=0, maximum=3600),
        default=60,
        title="Request timeout",
        description=(
            "Seconds to wait for an answer to begin, and then to end, before the "
            "request is repeated."
        ),
    ),
    th.Property(
        "max_retries",
        th.IntegerType(minimum=0),
        default=8,
        title="Retries",
        description="How often one request is repeated before its bot is given up.",
    ),
    th.Property(
        "accept_gaps_after_days",
        th.NumberType(minimum=0),
        title="Accept gaps after days",
        description=(
            "A range whose records don't add up to the vendor's count is emitted as it "
            "came, read again in each run, and makes the exit code 1; so many days "
            "after it was found it is only warned of. Never if not given."
        ),
    ),
    th.Property(
        "outage_minutes",
        th.NumberType(minimum=0, maximum=1440),
        default=10,
        title="Outage minutes",
        description=(
            "How long a host that is down is waited for; 0: not at all. One that was "
            "never reached is given up within a minute."
        ),
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="The User-Agent header; name and version if not given.",
    ),
    th.Property(
        "ca_bundle",
        th.StringType,
        title="CA bundle",
        description=(
            "A file with the certificates, in PEM, of the authorities to trust instead "
            "of the public ones: for a private CA, or a proxy that looks into TLS."
        ),
        examples=["/etc/ssl/certs/company.pem"],
    ),
)

PERSONAL = (
    th.Property(
        "personal_data",
        th.StringType,
        allowed_values=["keep", "hash", "drop"],
        default="keep",
        title="Personal data",
        description=(
            "What becomes of names, user ids, message texts, tags and fields that are "
            "new. hash: HMAC-SHA256 under personal_data_key, the same for the same "
            "value in all streams; texts are dropped. drop: null, but for a user id "
            "that is part of a key, which is hashed."
        ),
    ),
    th.Property(
        "personal_data_texts",
        th.StringType,
        allowed_values=["drop", "keep"],
        default="drop",
        title="Message texts",
        description="What becomes of message texts where personal_data is hash.",
    ),
    th.Property(
        "personal_data_key",
        th.StringType(min_length=16),
        secret=True,
        title="Personal data key",
        description=(
            "The key of the hashes, needed for hash and drop. Another key gives "
            "other hashes; who has the key can test whose hash one is."
        ),
    ),
)


def _schema() -> dict[str, Any]:
    schema = th.PropertiesList(*READING).to_dict()
    for vendor in VENDORS:
        schema["properties"] |= vendor.settings
    schema["properties"] |= th.PropertiesList(*PERSONAL).to_dict()["properties"]
    return schema


SCHEMA: dict[str, Any] = _schema()


def secrets(config: Config) -> tuple[str, ...]:
    """Every secret in the configuration."""
    found = [secret for vendor in VENDORS for secret in vendor.secrets(config)]
    if is_given(config, "personal_data_key"):
        found.append(config["personal_data_key"])
    return tuple(found)


def configured_vendors(config: Config) -> list[Vendor]:
    """The vendors whose credentials are given; all of them if none is."""
    return [vendor for vendor in VENDORS if vendor.is_configured(config)] or [*VENDORS]
