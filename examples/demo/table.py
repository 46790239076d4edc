"""What the demo prints: the table of deliveries, the verdict, and what to try next."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .deliveries import Delivery, Ledger
from .receiver import Arrival
from .scene import APPLICATION

MAX_COMPLAINTS = 20
WIDE_COLUMNS = 144  # what the table needs with one line for each delivery


def draw(ledger: Ledger, columns: int) -> Table:
    """The deliveries so far. On a narrow terminal each has two lines."""
    is_narrow = columns < WIDE_COLUMNS
    names = ["dialect\nevent", "verified by\nsignature header"]
    if not is_narrow:
        names = [name for pair in names for name in pair.split("\n")]
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, show_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    for name in ("status", "ms", "dup." if is_narrow else "duplicates"):
        table.add_column(name, justify="right", no_wrap=True, vertical="top")
    table.add_column("", no_wrap=True)
    for delivery in ledger.deliveries:
        cells = _name(delivery)
        if is_narrow:
            cells = [Text("\n").join(cells[:2]), Text("\n").join(cells[2:])]
        table.add_row(*cells, *_measure(delivery), _judge(delivery))
    return table


def _name(delivery: Delivery) -> list[Text]:
    arrival, subscriber = delivery.arrival, delivery.subscriber
    is_unsigned = arrival is not None and not arrival.header_seen
    return [
        Text(subscriber.dialect, "bold"),
        Text(delivery.event.type),
        Text(subscriber.name_judges().replace(", ", ",\n"), "" if arrival else "dim"),
        Text("none", "red") if is_unsigned else Text(subscriber.signature_header, "dim"),
    ]


def _measure(delivery: Delivery) -> list[Text]:
    arrival, latency_ms = delivery.arrival, delivery.latency_ms
    if arrival is None or latency_ms is None:
        return [Text("-", "dim")] * 3
    return [
        Text(str(arrival.status), "" if arrival.problem is None else "red"),
        Text(f"{latency_ms:.0f}"),
        Text(str(delivery.duplicates), "yellow" if delivery.duplicates else "dim"),
    ]


def _judge(delivery: Delivery) -> Text:
    if delivery.arrival is None:
        return Text("waiting", "dim") if delivery.recorded is None else Text("missing", "bold red")
    return Text("verified", "green") if delivery.arrival.problem is None else Text("refused", "bold red")


def print_verdict(console: Console, ledger: Ledger) -> None:
    """One line when all is well; a line for each delivery that is not."""
    bad, total = ledger.bad, len(ledger.deliveries)
    console.print()
    if not bad:
        console.print(
            f"[green]All {total} deliveries verified.[/] ms: from acceptance to arrival. "
            "Hookline's own record has each as a success.",
        )
        return
    console.print(f"[bold red]{len(bad)} of {total} deliveries not verified:[/]")
    for delivery in bad:
        title = Text(f"  {delivery.subscriber.uid}, {delivery.event.type}: ", "bold")
        console.print(title + Text(delivery.problem or "", style="not bold"))


def print_complaints(console: Console, lines: Sequence[str]) -> None:
    """What the server had to complain about, when something went wrong."""
    if lines:
        console.print("\nErrors in the server's log:", style="red")
        for line in lines[-MAX_COMPLAINTS:]:
            console.print(f"  {line}", markup=False, soft_wrap=True)


def print_invitation(console: Console, url: str, token: str) -> None:
    """Where it is, how to get in, and three commands. Lines are whole, so that they can be copied."""
    api = f"{url}/api/v1/app/{APPLICATION}"
    who = '-H "authorization: Bearer $HOOKLINE_TOKEN"'
    event = """-d '{"eventType": "invoice.paid", "payload": {"id": "in_1002"}}'"""
    console.print(f"\n[bold]Serving at {url}[/]  [dim]The API, described: {url}/docs[/]")
    console.print("Paste these into another terminal; what arrives is shown here.\n")
    for line in (
        f"export HOOKLINE_TOKEN={token}",
        f"curl {api}/endpoint {who}",
        f"curl {api}/msg {who} {event}",
        f"curl {api}/attempt/endpoint/openai {who}",
    ):
        console.print(line, soft_wrap=True, markup=False)
    console.print("\nCtrl-C stops the server and the receiver, and removes the demo's database.\n", style="dim")


def print_arrival(console: Console, arrival: Arrival) -> None:
    """One line for a delivery that was not part of the scene."""
    subscriber = arrival.subscriber
    verdict = Text("verified", "green") if arrival.problem is None else Text(f"refused: {arrival.problem}", "red")
    where = f"{subscriber.dialect:<12}{arrival.webhook_id:<36}{subscriber.name_judges():<44}"
    repeated = Text("  again", "yellow") if arrival.is_duplicate else Text()
    console.print(Text(where) + verdict + repeated, soft_wrap=True)
