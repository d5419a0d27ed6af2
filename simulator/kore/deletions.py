"""Kore.ai's jobs that delete conversations (page "Delete Conversations", May 2026).

A conversation's id is taken for its session's: both are 24 hex digits. On no page are
the refusals, what of a job is served before it is done (here null, and counts of 0; the
page's sample of a queued job is that of a completed one), what is counted for ids that
there are not (here they are skipped), and the `requestType` of a job by ids. The page's
table has `deletedCount` count conversations; in its sample it is larger than their
number.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.draws import dice, uuid
from simulator.exchange import Reply
from simulator.kore.filters import Filters, find, matching
from simulator.kore.records import iso, life
from simulator.kore.requests import milliseconds, moment, refusal
from simulator.timeline import DAY, MINUTE

if TYPE_CHECKING:
    from simulator.assumptions import Assumptions
    from simulator.exchange import Call
    from simulator.world import World

ENDPOINT = "conversations/delete"

_MOST = 100
"""Ids of a request."""

_RETRIES = 3


class Deletion(NamedTuple):
    """A job.

    Attributes:
        bot: Whose conversations they are.
        request_type: What they were asked for by, ``conversationIds`` or ``cId``.
        submitted: When, in epoch milliseconds.
        due: When they are deleted, likewise.
        asked: How many were asked for.
        found: How many of them there were.
    """

    bot: str
    request_type: str
    submitted: int
    due: int
    asked: int
    found: int


def deletions(call: Call, world: World, options: Assumptions, bot: str) -> Reply:
    """Answer a request for a job, or for a new one.

    Raises:
        RefusalError: The vendor would refuse it.
        ValueError: Something is wrong in it.
    """
    if call.item is None:
        return _submit(call.body, world, options, bot)
    job = world.deletions.get(call.item)
    if job is None or job.bot != bot:
        raise refusal(HTTPStatus.NOT_FOUND, "Job not found")
    return Reply(HTTPStatus.OK, _status(call.item, job, world))


def _submit(
    body: dict[str, Any], world: World, options: Assumptions, bot: str
) -> Reply:
    """Begin a job; ids take precedence over a user and dates."""
    if "conversationIds" in body:
        request_type, wanted = "conversationIds", _distinct(body["conversationIds"])
        found = [name for name in wanted if find(name, world, [bot])]
    else:
        request_type = "cId"
        found = wanted = _of_user(body, world, bot)
    submitted = world.clock
    due = submitted + round(world.erasure_minutes * MINUTE)
    number = len(world.deletions)
    job_id = f"cdj-{uuid(dice(world.seed, 'deletion', bot, number))}"
    world.deletions[job_id] = Deletion(
        bot, request_type, submitted, due, len(wanted), len(found)
    )
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=due)
    world.erase(bot, found, options.erased_streams, at=at)
    return Reply(
        HTTPStatus.ACCEPTED,
        {
            "status": "queued",
            "jobId": job_id,
            "message": "Deletion job queued successfully. "
            "The bot owner will be notified by email on completion.",
            "submittedAt": iso(submitted),
        },
    )


def _distinct(ids: object) -> list[str]:
    """Return ids, each once.

    Raises:
        RefusalError: They are too many.
        ValueError: They are none.
    """
    if not isinstance(ids, list) or not ids or not all(isinstance(i, str) for i in ids):
        raise ValueError(ids)
    if len(ids) > _MOST:
        raise refusal(HTTPStatus.BAD_REQUEST, "A maximum of 100 ids is allowed")
    return list(dict.fromkeys(ids))


def _of_user(body: dict[str, Any], world: World, bot: str) -> list[str]:
    """Return the sessions of a user that began in a range, both ends inclusive.

    Without a start it goes back to the beginning, without an end to the current day.

    Raises:
        KeyError: The user is missing.
        RefusalError: The range ends after the current day.
        ValueError: A date is none.
    """
    today_ends = (world.clock // DAY + 1) * DAY - 1
    start, end = moment(body.get("startDate")), moment(body.get("endDate"))
    first = 0 if start is None else milliseconds(start)
    last = today_ends if end is None else milliseconds(end)
    if end is not None and "T" not in body["endDate"]:
        last += DAY - 1
    if last > today_ends:
        raise refusal(HTTPStatus.BAD_REQUEST, "endDate must not be a future date")
    rows = matching(world, (bot,), (first, last), Filters(user_id=str(body["cId"])))
    return [life(world, rows[place]).session_id for place in range(len(rows))]


def _status(job_id: str, job: Deletion, world: World) -> dict[str, Any]:
    """Return a job as it stands by the clock."""
    is_done = world.clock >= job.due
    return {
        "jobId": job_id,
        "status": "completed" if is_done else "queued",
        "requestType": job.request_type,
        "submittedAt": iso(job.submitted),
        "scheduledAt": iso(job.due),
        "startedAt": iso(job.due) if is_done else None,
        "completedAt": iso(job.due) if is_done else None,
        "result": {
            "totalConversations": job.asked,
            "processedCount": job.asked if is_done else 0,
            "deletedCount": job.found if is_done else 0,
            "failedCount": 0,
            "skippedCount": job.asked - job.found if is_done else 0,
            "retriesRemaining": _RETRIES,
        },
    }
