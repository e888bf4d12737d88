"""``python -m tests.wyoming_server``: tells its port, then answers each line of its standard input with one, until that ends."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from tests.wyoming_server.service import Service, start


def _obey(service: Service, told: dict[str, Any]) -> Any:
    if told.get("order") == "records":
        return service.records
    if told.get("order") == "forget":
        service.records.clear()
    else:
        service.behave(told["behaviour"])
    return {}


async def _main() -> None:
    service = Service()
    server, port = await start(service)
    print(json.dumps({"port": port}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            answer = _obey(service, json.loads(line))
        except (TypeError, ValueError, KeyError) as fault:
            answer = {"error": str(fault)}
        print(json.dumps(answer), flush=True)
    await server.stop()


asyncio.run(_main())
