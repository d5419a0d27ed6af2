"""One run of the tap, in this process or in one of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.streams import STREAMS
from tests.chaos.here import run_here
from tests.chaos.history import AUDIT
from tests.chaos.nemesis import PATIENCE_MINUTES
from tests.chaos.process import run_process
from tests.chaos.quick import Start

if TYPE_CHECKING:
    from tests.chaos.plan import Plan
    from tests.chaos.vendors import Vendors

CATALOG = Path(__file__).parent.parent / "catalog.json"
"""What the tap's streams are like."""


def run_tap(vendors: Vendors, folder: Path) -> None:
    """Run the tap as a plan has it; what comes of it is recorded in the run."""
    plan, step = vendors.plan, vendors.run.step
    config, state = folder / "config.json", folder / "state.json"
    config.write_text(json.dumps(_config(vendors, folder)))
    state.write_text(json.dumps(vendors.run.state or {}))
    arguments = ["--config", str(config), "--state", str(state)]
    if plan.needs_catalog:
        catalog = folder / "catalog.json"
        catalog.write_text(json.dumps(_catalog(plan)))
        arguments += ["--catalog", str(catalog)]
    start = Start(
        arguments,
        {"TAP_BOTSESSIONS_LOGLEVEL": "DEBUG" if plan.is_verbose else "INFO"},
        # A token that is older than five minutes is refused.
        ahead=max(step.skew.total_seconds(), -240),
        limits=plan.limits,
    )
    if plan.is_real and step.weather.ending:
        run_process(vendors, start, folder)
    else:
        run_here(vendors, start)


def _catalog(plan: Plan) -> dict[str, Any]:
    """The catalog of the streams that are read, and of the audit trail if it is."""
    catalog: dict[str, Any] = json.loads(CATALOG.read_text())
    names = {*plan.bots, *([AUDIT] if plan.is_audited else [])}
    entries = [each for each in catalog["streams"] if each["stream"] in names]
    for entry in entries:
        for each in entry["metadata"]:
            if not each["breadcrumb"]:
                each["metadata"]["selected"] = True
    return {"streams": entries}


def _config(vendors: Vendors, folder: Path) -> dict[str, Any]:
    plan, run, url = vendors.plan, vendors.run, vendors.simulator.url
    world, weather = vendors.simulator.world, run.step.weather
    config = plan.settings | run.step.settings
    is_silent = weather.is_silent or plan.is_silent
    config |= {
        "end_date": run.end.isoformat(),
        "max_retries": weather.retries,
        "outage_minutes": PATIENCE_MINUTES[is_silent],
        "request_timeout_seconds": 0.4 if is_silent else 30,
    }
    if run.step.trouble.unmappable:
        stream, bot = run.step.trouble.unmappable
        name = STREAMS[stream].bot_key
        config["stream_maps"] = {
            stream: {"__filter__": f"{name} != '{bot}' or int('no number')"}
        }
    if "avaamo" in plan.vendors:
        config |= {
            "avaamo_base_url": url,
            "avaamo_access_token": world.avaamo_token,
            "avaamo_agent_ids": world.agents,
            "avaamo_agent_tokens": [
                {"agent_id": agent, "token": world.agent_token(agent)}
                for agent in world.agents
            ],
        }
    if "kore" in plan.vendors:
        config |= {
            "kore_base_url": url,
            "kore_client_id": world.app.client_id,
            "kore_client_secret": world.app.client_secret,
            "kore_bot_ids": world.bots,
            "kore_bot_credentials": [
                {
                    "bot_id": bot,
                    "client_id": app.client_id,
                    "client_secret": app.client_secret,
                }
                for bot, app in world.apps.items()
            ],
        }
    if plan.in_batches:
        config["batch_config"] = {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": folder.as_uri(), "prefix": f"run{run.number}-"},
            "batch_size": 20,
        }
    return config
