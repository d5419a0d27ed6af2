"""A Kore.ai host: how it is reached, how requests are signed, what settings must say.

Source: Kore.ai XO Platform documentation, the pages API Introduction (signatures) and
Rate limits.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from jwt import PyJWS
from jwt.algorithms import HMACAlgorithm
from requests.auth import AuthBase
from typing_extensions import override

from tap_botsessions.engine.options import is_given
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.engine.transport import ErrorFormat, Transport
from tap_botsessions.vendors.kore.choice import Choice, is_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from requests import PreparedRequest

    from tap_botsessions.engine.errors import BotError, RateLimit
    from tap_botsessions.engine.options import Config, Json, Options

_ADVICE = {
    401: (
        "check kore_client_id, kore_client_secret, the bot's id, and that the app has "
        "the scope {} and is published (App Settings > Dev Tools > API Scope)"
    ),
    403: ("check that the app has the scope {} (App Settings > Dev Tools > API Scope)"),
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


class Account:
    """A Kore.ai host: how it is reached, and which of its bots are read.

    Attributes:
        transport: What requests are made by.
        name: The host, as the account is not named anywhere.
        choice: Which bots are read, as the settings say.
        bots: Their ids; none as long as they have to be found.
        bots_error: Why they could not be found, if so.
    """

    def __init__(self, options: Options) -> None:
        """Prepare to read the bots that are configured, if any."""
        self.transport = Transport("kore_base_url", options, ERRORS)
        self.name = urlsplit(self.transport.base_url).netloc
        self.choice = Choice(options.config.get("kore_bot_ids") or ())
        self.bots_error: BotError | None = None
        self._options = options
        self._credentials = own_credentials(options.config)
        self._tokens: dict[tuple[str, str], SignedToken] = {}
        self._budgets: dict[tuple[str, str], Budget] = {}
        self.bots: Sequence[str] = ()
        if not self.choice.is_open:
            self.bots = list(bot_credentials(options.config))

    @property
    def is_resolved(self) -> bool:
        """Whether it is known which bots are read, or why that can't be known."""
        is_known = bool(self.bots) or not self.choice.is_open
        return is_known or self.bots_error is not None

    def token(self, bot: str) -> SignedToken:
        """What signs requests for a bot; those for all its app are signed by one."""
        return self._token_of(
            self._credentials.get(bot) or shared_credentials(self._options.config)
        )

    @property
    def admin_token(self) -> SignedToken:
        """What signs requests for the account, of an app of the Admin Console."""
        return self._token_of(shared_credentials(self._options.config))

    def _token_of(self, app: tuple[str, str]) -> SignedToken:
        algorithm = self._options.config["kore_jwt_algorithm"]
        return self._tokens.setdefault(app, SignedToken(*app, algorithm))

    @property
    def admin_budget(self) -> Budget:
        """What requests for the account's bots are charged to (page Rate limits)."""
        return self._budget("the account's bots", "admin")

    def budget(self, bot: str, stream: str) -> Budget:
        """What a stream's requests for a bot are charged to.

        Page Rate limits: 60 calls a minute and 1,800 an hour, each rolling, for each
        bot. Whether its APIs share them is not documented, nor what the account's API
        is charged to.
        """
        config = self._options.config
        is_shared = config["kore_api"] == "account"
        api = stream if config["kore_budget_per_api"] else ""
        return self._budget("the account" if is_shared else f"bot {bot}", api)

    def _budget(self, whose: str, api: str) -> Budget:
        config = self._options.config
        if (whose, api) not in self._budgets:
            self._budgets[whose, api] = Budget(
                ", ".join(["Kore.ai", whose, *filter(None, [api])]),
                config["kore_requests_per_minute"],
                config["kore_requests_per_hour"],
                minute=self._options.limits.minute,
            )
        return self._budgets[whose, api]


def own_credentials(config: Config) -> dict[str, tuple[str, str]]:
    """The client id and client secret of each bot that has its own."""
    return {
        entry["bot_id"]: (entry["client_id"], entry["client_secret"])
        for entry in config.get("kore_bot_credentials") or ()
    }


def shared_credentials(config: Config) -> tuple[str, str]:
    """Those of all other bots; empty if they are not given."""
    return config.get("kore_client_id") or "", config.get("kore_client_secret") or ""


def bot_credentials(config: Config) -> dict[str, tuple[str, str]]:
    """The bots to read, each with its client id and client secret.

    A bot without credentials of its own has those of `kore_client_id` and
    `kore_client_secret`; if these are not given, they are empty.
    """
    own, shared = own_credentials(config), shared_credentials(config)
    listed = config.get("kore_bot_ids") or own
    bots = [bot for bot in listed if not is_pattern(str(bot))]
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
    yield from _useless_patterns(config)
    if has_id and has_secret:
        if not has_bots and not is_given(config, "kore_bot_credentials"):
            yield "kore_bot_ids: is empty; list at least one bot"
    elif not has_id and not has_secret and has_bots:
        yield from _bots_without_credentials(config)


def _useless_patterns(config: Config) -> Iterator[str]:
    entries = config.get("kore_bot_ids")
    if not isinstance(entries, list):
        return
    patterns = [each for each in entries if isinstance(each, str) and is_pattern(each)]
    if patterns and not is_given(config, "kore_client_id"):
        yield (
            "kore_client_id: is missing, with kore_client_secret, of an app of the "
            "Admin Console, by which the bots of kore_bot_ids are found"
        )
    if patterns and all(str(each).startswith("!") for each in entries):
        yield 'kore_bot_ids: only says what is not read; add "*" for all others'


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
    is_open = any(isinstance(each, str) and is_pattern(each) for each in listed)
    for entry in own if listed and not is_open else ():
        bot = entry.get("bot_id") if isinstance(entry, dict) else None
        if isinstance(bot, str) and bot not in listed:
            yield f"kore_bot_credentials: {bot} is not in kore_bot_ids, so not read"
