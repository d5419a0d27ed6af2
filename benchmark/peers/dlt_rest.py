"""dlt's declarative REST source, extraction alone: `dlt_rest.py URL WORKERS AGENT...`.

Prints how many items were extracted.
"""

import sys
from tempfile import TemporaryDirectory

import dlt
from dlt.sources.rest_api import RESTAPIConfig, rest_api_source

base_url, workers, agents = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
dlt.config["runtime.dlthub_telemetry"] = False
dlt.config["extract.workers"] = workers
dlt.config["extract.max_parallel_items"] = 2 * workers

config: RESTAPIConfig = {
    "client": {
        "base_url": base_url,
        "auth": {
            "type": "api_key",
            "name": "Access-Token",
            "api_key": "simulated-access-token",
            "location": "header",
        },
        "paginator": {
            "type": "page_number",
            "base_page": 1,
            "page_param": "page",
            "total_path": "total_pages",
        },
    },
    "resources": [
        {
            "name": f"messages_{agent}",
            "table_name": "messages",
            "endpoint": {
                "path": f"bots/analytics/{agent}/messages.json",
                "params": {"per_page": 100},
                "data_selector": "entries",
            },
        }
        for agent in agents
    ],
}

with TemporaryDirectory() as folder:
    pipeline = dlt.pipeline("benchmark", pipelines_dir=folder)
    information = pipeline.extract(rest_api_source(config, parallelized=workers > 1))
    metrics = information.metrics[information.loads_ids[0]]
    counts = (
        table.items_count
        for step in metrics
        for name, table in step["table_metrics"].items()
        if name == "messages"
    )
    sys.stdout.write(f"{sum(counts)}\n")
