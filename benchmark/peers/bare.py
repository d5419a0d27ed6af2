"""The least that any program must do: ask for pages, read JSON, write JSON."""

import json
import sys

import requests

base_url, agents = sys.argv[1], sys.argv[2:]
with requests.Session() as session:
    session.headers["Access-Token"] = "simulated-access-token"
    for agent in agents:
        page, pages = 1, 1
        while page <= pages:
            answer = session.get(
                f"{base_url}/bots/analytics/{agent}/messages.json",
                params={"page": page, "per_page": 100},
                timeout=60,
            )
            answer.raise_for_status()
            body = answer.json()
            for entry in body["entries"]:
                sys.stdout.write(json.dumps(entry) + "\n")
            page, pages = page + 1, body["total_pages"]
