"""The tap that the SDK's template makes of the API: what a first version looks like."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.helpers.jsonpath import extract_jsonpath
from singer_sdk.pagination import PageNumberPaginator
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import requests
    from singer_sdk.helpers.types import Context
    from singer_sdk.streams.rest import HTTPRequest, PageContext


class Paginator(PageNumberPaginator):
    """Goes on while the server counts further pages."""

    @override
    def has_more(self, response: requests.Response) -> bool:
        return bool(self.current_value < response.json()["total_pages"])


class Messages(RESTStream[int]):
    """Messages, a partition for each agent."""

    name = "messages"
    path = "/bots/analytics/{agent_id}/messages.json"
    primary_keys = ("agent_id", "message_uuid")
    records_jsonpath = "$.entries[*]"
    schema = th.PropertiesList(
        th.Property("agent_id", th.StringType),
        th.Property("message_uuid", th.StringType),
        th.Property("created_at", th.NumberType),
        th.Property("content", th.StringType),
        th.Property("score", th.NumberType),
        th.Property("intent_type", th.StringType),
        th.Property("intent_name", th.StringType),
        th.Property("channel_name", th.StringType),
        th.Property(
            "user",
            th.ObjectType(
                th.Property("first_name", th.StringType),
                th.Property("last_name", th.StringType),
                th.Property("layer_id", th.StringType),
            ),
        ),
    ).to_dict()

    @property
    @override
    def url_base(self) -> str:
        return str(self.config["base_url"])

    @property
    @override
    def authenticator(self) -> APIKeyAuthenticator:
        return APIKeyAuthenticator(
            key="Access-Token", value="simulated-access-token", location="header"
        )

    @property
    @override
    def partitions(self) -> list[dict[str, Any]]:
        return [{"agent_id": agent} for agent in self.config["agents"]]

    @override
    def get_new_paginator(self) -> Paginator:
        return Paginator(1)

    @override
    def get_http_request(self, *, page: PageContext[int]) -> HTTPRequest:
        request = super().get_http_request(page=page)
        request.params = {"page": page.next_page_token, "per_page": 100}
        return request

    @override
    def parse_response(self, response: requests.Response) -> Iterable[dict[str, Any]]:
        yield from extract_jsonpath(
            self.records_jsonpath, input=response.json(parse_float=decimal.Decimal)
        )

    @override
    def post_process(
        self, row: dict[str, Any], context: Context | None = None
    ) -> dict[str, Any] | None:
        return row


class MessagesTap(Tap):
    """A tap of one stream."""

    name = "tap-messages"
    config_jsonschema = th.PropertiesList(
        th.Property("base_url", th.StringType, required=True),
        th.Property("agents", th.ArrayType(th.StringType), required=True),
    ).to_dict()

    @override
    def discover_streams(self) -> Sequence[Messages]:
        return [Messages(self)]


if __name__ == "__main__":
    MessagesTap.cli()
