"""Hypothesis strategies: JSON as it should not be, and how often it is tried."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.strategies import DrawFn, SearchStrategy

SECRET = "0" * 20 + "-as-long-as-HS512-wants-a-secret-to-be-" + "0" * 20
TOKEN = "hunter2"  # noqa: S105 -- likewise
EMAIL = "ada@example.com"
DIARY = "dear diary"
"""What must never be told: secrets, an address, and what somebody wrote."""

_EXAMPLES = os.environ.get("FUZZ_EXAMPLES")


def tried(examples: int) -> hypothesis.settings:
    """Try so many examples, the same in each run.

    With the environment variable FUZZ_EXAMPLES it is as many as that says, and others
    in each run, and one that fails is made smaller, which takes minutes.
    """
    return hypothesis.settings(
        max_examples=int(_EXAMPLES or examples),
        derandomize=_EXAMPLES is None,
        deadline=None,
        print_blob=True,
        phases=[*Phase] if _EXAMPLES else [Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@dataclass(frozen=True)
class Written:
    """JSON, or what claims to be JSON, as it is written."""

    text: bytes


def written(value: object) -> bytes:
    """JSON as bytes; a name that is `Written` may be there twice."""
    if isinstance(value, Written):
        return value.text
    if isinstance(value, dict):
        pairs = (written(name) + b":" + written(value[name]) for name in value)
        return b"{%b}" % b",".join(pairs)
    if isinstance(value, list):
        return b"[%b]" % b",".join(map(written, value))
    return json.dumps(value).encode()


ODD = [
    b"-0",
    b"-0.0",
    b"0.1e1",
    b"1e-400",
    b"1e308",
    b"1e400",
    b"-1e400",
    b"9007199254740993",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"123456789012345678901234567890",
    b"9" * 400,
    b"9" * 5000,
    b"0." + b"1" * 5000,
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"nul",
    b"01",
    b"'a'",
    b"",
    rb'"\ud800"',
    rb'"\udc00\ud83d"',
    rb'"\ud83d\ude00"',
    rb'"a\u0000b"',
    b'"a\0b"',
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"caf\xe9"',
    b'"' + b"x" * 100_000 + b'"',
    b'{"a":1,"a":2}',
    rb'{"\u0000":{"\ud800":1e400}}',
    b"[" * 90 + b"]" * 90,
    b"[" * 300 + b"]" * 300,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b"[" * 970 + b"]" * 970,
    b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
]
TOLD = [SECRET, TOKEN, EMAIL, DIARY, f"{DIARY}\n{EMAIL}\r\n{SECRET} {TOKEN}"]
NUMBERS = st.sampled_from(
    [0, 1, -1, 3.0, 0.5, 2**31, 2**53, 2**63 - 1, 2**63, 10**12, 10**18, 1e18, 1e300]
)
TEXTS = st.text("aA0.-:TZ/\\\"'{}[] \n\r\t\0é\u2028\ud83d\ude00\U0001f600", max_size=9)
LIKELY = st.sampled_from(
    [
        "",
        "0",
        "1",
        "-1",
        "true",
        "null",
        "nan",
        "1e400",
        "2026-03-01",
        "9" * 400,
        "\ud83d",
    ]
)
INSTANTS = st.sampled_from(
    [
        "2026-03-01T00:00:30Z",
        "2026-03-01T00:00:30.5+00:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01",
        "9999-12-31",
        "2026-W10-1",
        "20260301T000030Z",
    ]
)
SCALARS: SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | NUMBERS
    | st.integers()
    | st.floats()
    | TEXTS
    | LIKELY
    | INSTANTS
    | st.sampled_from(ODD).map(Written)
)


def _nested(scalars: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
        ),
        max_leaves=5,
    )


PLAIN = _nested(SCALARS)
"""Junk that may be told."""

VALUES = _nested(SCALARS | st.sampled_from(TOLD))
"""Junk, some of which must not be told."""


@st.composite
def spoilt(draw: DrawFn, whole: Any, most: int = 3, junk: Any = VALUES) -> Any:
    """A value of which up to so many parts are replaced, lost, doubled or added.

    Args:
        draw: Hypothesis's.
        whole: The value, as it should be.
        most: So many parts.
        junk: What parts are replaced by.
    """
    for _ in range(draw(st.integers(0, most))):
        place = draw(st.sampled_from([*_places(whole)]))
        spoil = draw(st.sampled_from(_SPOILERS))
        whole = _changed(whole, place, partial(spoil, junk=draw(junk)))
    return whole


def _other(_part: Any, junk: Any) -> Any:
    return junk


def _wrapped(part: Any, junk: Any) -> Any:  # noqa: ARG001 -- as the others
    return [part]


def _less(part: Any, junk: Any) -> Any:  # noqa: ARG001 -- as the others
    if isinstance(part, dict):
        return dict([*part.items()][1:])
    return part[1:] if isinstance(part, list | str) else None


def _more(part: Any, junk: Any) -> Any:
    if isinstance(part, dict):
        return part | dict.fromkeys(["additional_fields", "agent_id", "bot_id"], junk)
    return [*part, junk] if isinstance(part, list) else junk


def _twice(part: Any, junk: Any) -> Any:
    if isinstance(part, dict):
        return part | {Written(written(name)): junk for name in [*part][-1:]}
    return [*part, *part] if isinstance(part, list) else part


_SPOILERS = [_other, _other, _other, _wrapped, _less, _more, _twice]


def _places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Where there is something to spoil, the whole included."""
    yield path
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, item in items:
        yield from _places(item, *path, name)


def _changed(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """A value with a change in one place."""
    if not path:
        return change(value)
    first, *rest = path
    part = _changed(value[first], tuple(rest), change)
    if isinstance(value, dict):
        return {**value, first: part}
    return [*value[:first], part, *value[first + 1 :]]


def replaced(whole: Any, path: tuple[Any, ...], junk: Any) -> SearchStrategy[Any]:
    """A value of which one part is something else."""
    return st.builds(lambda part: _changed(whole, path, lambda _: part), junk)


@st.composite
def damaged(draw: DrawFn, whole: bytes) -> bytes:
    """Bytes that are cut, followed, preceded or changed in a place, or as they were."""
    cut, other = draw(st.integers(0, len(whole))), draw(st.binary(max_size=3))
    return draw(
        st.sampled_from(
            [
                whole,
                whole,
                whole,
                whole[:cut],
                whole[:cut] + other + whole[cut + len(other) :],
                b"\xef\xbb\xbf" + whole,
                whole + other,
                whole.decode(errors="replace").encode("utf-16"),
            ]
        )
    )
