"""Hashes of personal data."""

from __future__ import annotations

from tap_botsessions.engine.personal import hashed


def test_a_user_of_both_vendors_has_one_hash() -> None:
    key = b"a key that nobody knows"
    in_kore, in_avaamo = hashed(key, "ana@example.com"), hashed(key, "ana@example.com")
    assert in_kore == in_avaamo != hashed(b"another key", "ana@example.com")
    assert hashed(key, {"a": [12, "12", True, None]}) == {
        "a": [hashed(key, "12"), hashed(key, "12"), True, None]
    }
