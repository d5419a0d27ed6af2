"""The least that any program must do with Kore.ai's messages, 10,000 a request."""

import json
import sys

import requests

base_url, *bots = sys.argv[1:]
with requests.Session() as session:
    for bot in bots:
        skip, more = 0, True
        while more:
            answer = session.post(
                f"{base_url}/api/public/bot/{bot}/getMessagesV2",
                json={"skip": skip, "limit": 10_000, "forward": True},
                timeout=60,
            )
            answer.raise_for_status()
            body = answer.json()
            for message in body["messages"]:
                sys.stdout.write(json.dumps(message) + "\n")
            skip, more = skip + len(body["messages"]), body["moreAvailable"]
