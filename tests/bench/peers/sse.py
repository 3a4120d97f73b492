"""Server-sent events the usual way: one Redis subscription, and so one connection, for each client.
`python -m tests.bench.peers.sse <port>`.
"""

import os
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import redis.asyncio
import uvicorn
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent

app = FastAPI()


@app.get("/events/{channel}", response_class=EventSourceResponse)
async def events(channel: str) -> AsyncIterator[ServerSentEvent]:
    """What is published on the channel."""
    client = redis.asyncio.Redis(unix_socket_path=urlsplit(os.environ["BENCH_BROKER_URL"]).path, socket_timeout=None)
    async with client, client.pubsub() as pubsub:
        await pubsub.subscribe(channel)
        async for message in pubsub.listen():
            if message["type"] == "message":
                yield ServerSentEvent(raw_data=message["data"].decode())


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False)
