"""An Avaamo account: how it is reached, and what its settings have to say.

Source: Avaamo Platform API documentation, Analytics API, its first page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from requests.auth import AuthBase
from typing_extensions import override

from tap_botsessions.engine.errors import SettingError
from tap_botsessions.engine.options import is_given
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.engine.transport import ErrorFormat, Transport
from tap_botsessions.vendors.avaamo.time_tokens import TimeTokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from requests import PreparedRequest

    from tap_botsessions.engine.options import Config, Json, Options
    from tap_botsessions.vendors.avaamo.time_forms import TimeForm

_ADVICE = {
    401: "check {}",
    403: "check {}, and whether it may see the agent",
    404: (
        "check the id in avaamo_agent_ids (it is in the agent's URL), and "
        "avaamo_base_url"
    ),
}

_PHRASES = frozenset(
    {
        "API rate limit exceeded.",
        "Access token is invalid or does not have permission",
        "Access token missing or invalid",
        "To Date cannot be before From Date",
    }
)
"""Avaamo's documented errors, some of them of other endpoints than the tap's."""


def _message(body: Json) -> object:
    """The words of a refusal: `{"error": "..."}`, on all pages."""
    return body["error"]


ERRORS = ErrorFormat(_message, _ADVICE, _PHRASES)


class AccessToken(AuthBase):
    """Signs a request with a user's access token."""

    def __init__(self, token: str) -> None:
        """Keep the token."""
        self._token = token

    @override
    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers["access-token"] = self._token
        return r


@dataclass(frozen=True)
class Account:
    """An Avaamo account: where and how it is reached, and what it may be asked."""

    transport: Transport
    token: AccessToken
    budget: Budget
    agent_tokens: Mapping[str, AccessToken] = field(default_factory=dict)
    _time_tokens: dict[tuple[TimeForm, ...], TimeTokens] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Options) -> Account:
        """The account that is configured, if any."""
        config = options.config
        transport = Transport("avaamo_base_url", options, ERRORS)
        token = AccessToken(config.get("avaamo_access_token") or "")
        rate, minute = config["avaamo_requests_per_minute"], options.limits.minute
        budget = Budget("Avaamo", rate, minute=minute)
        agent_tokens = {
            str(entry["agent_id"]): AccessToken(entry["token"])
            for entry in config.get("avaamo_agent_tokens") or ()
        }
        return cls(transport, token, budget, agent_tokens)

    def agent_token(self, agent: str) -> AccessToken:
        """The token of an agent itself.

        Raises:
            SettingError: None is given.
        """
        token = self.agent_tokens.get(agent)
        if token is None:
            msg = (
                f"no token of the agent {agent} is in avaamo_agent_tokens; add it "
                f"(Agent > Settings), or leave avaamo_transcripts out of the catalog"
            )
            raise SettingError(msg)
        return token

    def time_tokens(self, forms: tuple[TimeForm, ...]) -> TimeTokens:
        """What is known of how lists take ranges that may have these forms."""
        return self._time_tokens.setdefault(forms, TimeTokens(forms))


def agent_ids(config: Config) -> list[str]:
    """The agents to read, each once."""
    agents = config.get("avaamo_agent_ids") or ()
    return list(dict.fromkeys(str(agent) for agent in agents))


def is_configured(config: Config) -> bool:
    """Whether the credentials are given."""
    return is_given(config, "avaamo_access_token")


def secrets(config: Config) -> list[str]:
    """The secrets that are given."""
    tokens = [entry["token"] for entry in config.get("avaamo_agent_tokens") or ()]
    return [*tokens, config["avaamo_access_token"]] if is_configured(config) else tokens


def problems(config: Config) -> Iterator[str]:
    """Say what the settings lack, a line each."""
    agents = config.get("avaamo_agent_ids")
    for agent in agents if isinstance(agents, list) else ():
        if isinstance(agent, str) and ("*" in agent or agent.startswith("!")):
            yield (
                f"avaamo_agent_ids: {agent} is no id; Avaamo has no list of agents, so "
                f"give the id of each"
            )
    if is_configured(config):
        if not is_given(config, "avaamo_base_url"):
            yield "avaamo_base_url: is missing; it is the instance that you log in to"
        if not is_given(config, "avaamo_agent_ids"):
            yield "avaamo_agent_ids: is empty; list at least one agent"
    elif is_given(config, "avaamo_agent_ids"):
        yield "avaamo_access_token: is missing, while avaamo_agent_ids is given"


def unused(config: Config) -> Iterator[str]:
    """Say whose tokens have no effect, since the agent is not listed."""
    own, listed = config.get("avaamo_agent_tokens"), config.get("avaamo_agent_ids")
    if not isinstance(own, list) or not isinstance(listed, list):
        return
    agents = {str(agent) for agent in listed}
    for entry in own:
        agent = entry.get("agent_id") if isinstance(entry, dict) else None
        if isinstance(agent, str | int) and str(agent) not in agents:
            yield (
                f"avaamo_agent_tokens: {agent} is not in avaamo_agent_ids, so not read"
            )
