"""The vendors that are read: a folder each, and a line here."""

from __future__ import annotations

from tap_botsessions.vendors.avaamo import AVAAMO
from tap_botsessions.vendors.kore import KORE

VENDORS = (AVAAMO, KORE)
