"""A receiver in one file: verify, deduplicate, answer. `WEBHOOK_SECRET=whsec_... python examples/receiver.py [port]`.

Verification is Standard Webhooks, by the library of that name: nothing here is particular to Hookline.
"""

import os
import sys
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
app = FastAPI()
seen: set[str] = set()  # in a real application: a unique column, written in the transaction that does the work


@app.post("/hooks", status_code=204)
async def receive(request: Request, webhook_id: Annotated[str, Header()] = "") -> None:
    """Take an event, once: the same event may come again after a crash, under the same `webhook-id`."""
    body = await request.body()
    try:
        event = webhook.verify(body, dict(request.headers))
    except WebhookVerificationError as error:
        raise HTTPException(400, "Invalid signature") from error
    if webhook_id not in seen:
        seen.add(webhook_id)
        print(f"verified {webhook_id}: {event}", flush=True)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8072, log_level="warning")
