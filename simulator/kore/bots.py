"""Kore.ai's bots: as it lists them, and as a tap emits them (page "Get Bots")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.draws import dice

if TYPE_CHECKING:
    from simulator.parameters import Parameters

SECRET = "secret-of-an-app-of-a-bot-"  # noqa: S105 -- made up, and looked for in tests
"""What the client secrets in the answer begin with."""


def bot_record(parameters: Parameters, bot: str) -> dict[str, Any]:
    """Return a bot as it is listed, with the secrets of its apps."""
    random = dice(parameters.seed, "bot", bot)
    return {
        "_id": bot,
        "accountId": "simulated",
        "name": parameters.bot_names.get(bot, f"Bot {bot[-4:]}"),
        "description": random.choice(("Answers", None)),
        "status": "published",
        "type": "default",
        "purpose": "customer",
        "defaultLanguage": "en",
        "createdOn": "2025-01-02T03:04:05.678Z",
        "createdBy": "u-admin",
        "icon": "https://files.example.com/icon",
        "isLinkedTo": [],
        "isDeflect": False,
        "containsPanelOrWidget": False,
        "resourceid": "bots",
        "jwtApps": [
            {"clientId": f"cs-{bot}", "clientSecret": f"{SECRET}{bot}", "name": "app"}
        ],
    }


def emitted_bot(_: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return a bot as a tap must emit it."""
    return {
        "bot_id": raw["_id"],
        "name": raw["name"],
        "description": raw["description"],
        "status": raw["status"],
        "type": raw["type"],
        "purpose": raw["purpose"],
        "default_language": raw["defaultLanguage"],
        "account_id": raw["accountId"],
        "created_on": raw["createdOn"],
        "created_by": raw["createdBy"],
        "is_linked_to": raw["isLinkedTo"],
        "is_deflect": raw["isDeflect"],
        "additional_fields": None,
    }
