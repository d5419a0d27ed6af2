"""A Kore.ai host: how it is reached, how requests are signed, what settings must say.

Source: Kore.ai XO Platform documentation, the pages API Introduction (signatures) and
Rate limits.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from jwt import PyJWS
from jwt.algorithms import HMACAlgorithm
from requests.auth import AuthBase
from typing_extensions import override

from tap_botsessions.engine.options import is_given
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.engine.transport import ErrorFormat, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests import PreparedRequest

    from tap_botsessions.engine.errors import RateLimit
    from tap_botsessions.engine.options import Config, Json, Options

_ADVICE = {
    401: (
        "check kore_client_id, kore_client_secret, the bot's id, and that the app has "
        "the scope Bot Sessions and is published (App Settings > Dev Tools > API Scope)"
    ),
    403: (
        "check that the app has the scope Bot Sessions (App Settings > Dev Tools > API "
        "Scope)"
    ),
    404: "check kore_base_url and kore_api",
}

_PHRASES = frozenset(
    {
        "Invalid JWT token",
        "Invalid SDK credentials",
        "Method Not Allowed",
        "Permission denied. Scope is incorrect!",
        "Rate limit for this API has been reached. Please try again after some time.",
        "Rate limit for this API has been reached. Please try again later",
        "Validation errors/ Invalid arguments",
        *(
            f"You've exceeded the {limit} rate limit. Please wait for sometime before "
            f"retrying."
            for limit in ("per-minute", "hourly")
        ),
    }
)
"""Kore.ai's errors, documented (page Rate limits) or seen by those who use the API."""


def _message(body: Json) -> object:
    """The words of a refusal: `{"errors": [{"msg": "...", "code": 4002}]}`.

    What stands before the API, such as a gateway, may send an `error`.
    """
    return body["errors"][0]["msg"] if "errors" in body else body["error"]


def _rate_limit(message: str) -> RateLimit:
    """The limit that was exceeded: only the hourly one is named (page Rate limits)."""
    return "hour" if "hour" in message.lower() else "minute"


ERRORS = ErrorFormat(
    _message,
    _ADVICE,
    _PHRASES,
    # The API answers 400 to valid requests at times.
    retried=frozenset({400}),
    rate_limit=_rate_limit,
)


class _AnyKeyLength(HMACAlgorithm):
    """How long a client secret is, is the vendor's choice: nobody can act on advice."""

    @override
    def check_key_length(self, key: bytes) -> None:
        return None


def _signer() -> PyJWS:
    signer = PyJWS(algorithms=[])
    signer.register_algorithm("HS256", _AnyKeyLength(HMACAlgorithm.SHA256))
    signer.register_algorithm("HS512", _AnyKeyLength(HMACAlgorithm.SHA512))
    return signer


_SIGNER = _signer()


class SignedToken(AuthBase):
    """Signs a request with a JWT of its own, valid for minutes.

    The page API Introduction documents the claim `appId`; apps may be set up to refuse
    a token without a `jti`. `iat` lies back a minute, for a server whose clock is slow.
    """

    def __init__(self, client_id: str, client_secret: str, algorithm: str) -> None:
        """Keep the credentials of an app."""
        self._client_id = client_id
        self._client_secret = client_secret
        self._algorithm = algorithm

    @override
    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        now = int(time.time())
        claims = {
            "appId": self._client_id,
            "sub": self._client_id,
            "iat": now - 60,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
        }
        r.headers["auth"] = _SIGNER.encode(
            msgspec.json.encode(claims), self._client_secret, self._algorithm
        )
        return r


@dataclass(frozen=True)
class Account:
    """A Kore.ai host: how it is reached, and what its bots may be asked, by bot."""

    transport: Transport
    tokens: Mapping[str, SignedToken]
    _options: Options
    _budgets: dict[tuple[str, str], Budget] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Options) -> Account:
        """The host that is configured, with its bots, if any."""
        config = options.config
        transport = Transport("kore_base_url", options, ERRORS)
        credentials = bot_credentials(config)
        signed = {
            app: SignedToken(*app, config["kore_jwt_algorithm"])
            for app in credentials.values()
        }
        tokens = {bot: signed[app] for bot, app in credentials.items()}
        return cls(transport, tokens, options)

    def budget(self, bot: str, stream: str) -> Budget:
        """What a stream's requests for a bot are charged to.

        Page Rate limits: 60 calls a minute and 1,800 an hour, each rolling, for each
        bot. Whether its APIs share them is not documented, nor what the account's API
        is charged to.
        """
        config = self._options.config
        is_shared = config["kore_api"] == "account"
        key = "" if is_shared else bot, stream if config["kore_budget_per_api"] else ""
        if key not in self._budgets:
            whose = "the account" if is_shared else f"bot {bot}"
            self._budgets[key] = Budget(
                ", ".join(["Kore.ai", whose, *filter(None, key[1:])]),
                config["kore_requests_per_minute"],
                config["kore_requests_per_hour"],
                minute=self._options.limits.minute,
            )
        return self._budgets[key]


def bot_credentials(config: Config) -> dict[str, tuple[str, str]]:
    """The bots to read, each with its client id and client secret.

    A bot without credentials of its own has those of `kore_client_id` and
    `kore_client_secret`; if these are not given, they are empty.
    """
    own = {
        entry["bot_id"]: (entry["client_id"], entry["client_secret"])
        for entry in config.get("kore_bot_credentials") or ()
    }
    shared = (
        config.get("kore_client_id") or "",
        config.get("kore_client_secret") or "",
    )
    bots = config.get("kore_bot_ids") or own
    return {bot: own.get(bot, shared) for bot in bots}


def is_configured(config: Config) -> bool:
    """Whether the credentials are given."""
    names = ("kore_client_id", "kore_client_secret")
    is_pair = all(is_given(config, name) for name in names)
    return is_pair or is_given(config, "kore_bot_credentials")


def secrets(config: Config) -> list[str]:
    """The secrets that are given."""
    own = [entry["client_secret"] for entry in config.get("kore_bot_credentials") or ()]
    return [secret for secret in (*own, config.get("kore_client_secret")) if secret]


def problems(config: Config) -> Iterator[str]:
    """Say what the settings lack, a line each."""
    has_id = is_given(config, "kore_client_id")
    has_secret = is_given(config, "kore_client_secret")
    if has_id and not has_secret:
        yield "kore_client_secret: is missing, while kore_client_id is given"
    if has_secret and not has_id:
        yield "kore_client_id: is missing, while kore_client_secret is given"
    has_bots = is_given(config, "kore_bot_ids")
    if has_id and has_secret:
        if not has_bots and not is_given(config, "kore_bot_credentials"):
            yield "kore_bot_ids: is empty; list at least one bot"
    elif not has_id and not has_secret and has_bots:
        yield from _bots_without_credentials(config)


def _bots_without_credentials(config: Config) -> Iterator[str]:
    try:
        credentials = bot_credentials(config)
    except (KeyError, TypeError, AttributeError):
        return  # the schema has said what is wrong with the list
    for bot, (client_id, _) in credentials.items():
        if not client_id:
            yield (
                f"kore_client_id: is missing, with kore_client_secret, for the bot "
                f"{bot}, which is not in kore_bot_credentials either"
            )


def unused(config: Config) -> Iterator[str]:
    """Say whose credentials have no effect, since the bot is not listed."""
    listed, own = config.get("kore_bot_ids"), config.get("kore_bot_credentials")
    if not isinstance(listed, list) or not isinstance(own, list):
        return
    for entry in own if listed else ():
        bot = entry.get("bot_id") if isinstance(entry, dict) else None
        if isinstance(bot, str) and bot not in listed:
            yield f"kore_bot_credentials: {bot} is not in kore_bot_ids, so not read"
