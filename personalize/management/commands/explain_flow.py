"""`manage.py explain_flow`: would this flow run for that guest now? If not, which gate closed?"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from personalize import context, deciding, execution, snapshots
from personalize.conditions import normalise_params
from personalize.context import Visitor
from personalize.deciding import Decided
from personalize.execution import Chosen
from personalize.models import Flow
from personalize.snapshots import Catalog, FlowSnapshot
from personalize.types import FlowRequest, Gate
from tracking import clients, guests
from tracking.guests import GuestFacts
from tracking.models import Client, Guest, Identifier, Session
from tracking.types import BROWSER, ClientConfig

#: Exit statuses: 0 it would run, 1 it would not, 2 the question itself is wrong.
WOULD_NOT_RUN, WRONG_QUESTION = 1, 2


class Command(BaseCommand):
    help = (
        "Say which flow a call would run for a guest now, and which gate of the others closed. "
        "Records nothing. Exit status: 0 a flow would run, 1 none would, 2 unknown flow or guest."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("flow", help="A friendlyId, a prefix* (quoted), or a flow's ref.")
        parser.add_argument("guest", help="A guest's ref, a browser id, an e-mail, PROVIDER:ID.")
        parser.add_argument("--client", help="Name or client key; needed when there are several.")
        parser.add_argument("--page", default="", help="The page, as the call would name it.")
        parser.add_argument(
            "--param",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="A parameter of the call, such as utm.campaign=spring. Repeatable.",
        )
        parser.add_argument("--channel", default="WEB")
        parser.add_argument("--language", default="", help="Two letters.")
        parser.add_argument("--point-of-sale", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        client = _client(options["client"])
        friendly_id = _friendly_id(client, options["flow"])
        guest, browser_id = _guest(client, options["guest"])
        point_of_sale = client.point_of_sale(name=options["point_of_sale"], site_id="")
        if point_of_sale is None:
            valid = ", ".join(client.points_of_sale)
            raise _wrong(f"There is no such point of sale. Valid ones: {valid}.")
        now = timezone.now()
        catalog = snapshots.catalog(client, version=snapshots.current_version(client.id))
        candidates = _candidates(client, catalog, friendly_id)
        request = FlowRequest(
            friendly_id=friendly_id,
            browser_id=browser_id,
            channel=options["channel"].upper(),
            language=options["language"].upper(),
            page=options["page"],
            params=normalise_params(_params(options["param"])),
        )
        visitor = Visitor(guest.ref, guest.bucket_ref, guest, browser_id, catalog)
        facts = context.facts(
            request, visitor, candidates, client=client, point_of_sale=point_of_sale, now=now
        )
        chosen, gates = execution.choose(
            candidates, facts, visitor, channel=request.channel, now=now, explain=True
        )
        self._say_who(guest, browser_id)
        for fault in facts.site_faults.values():
            self.stdout.write(self.style.WARNING(f"A source of the site failed: {fault}"))
        self._say_gates(candidates, gates, chosen)
        if chosen is None:
            raise CommandError("No flow would run.", returncode=WOULD_NOT_RUN)
        decided = deciding.decide(chosen.definition, facts, catalog)
        self._say_decision(decided)
        self._say_answer(execution.render(chosen, decided, facts, visitor))

    def _say_who(self, guest: GuestFacts, browser_id: str | None) -> None:
        email = f", {guest.texts['email']}" if guest.texts["email"] else ""
        self.stdout.write(f"Guest {guest.ref} ({guest.type.lower()}{email})")
        self.stdout.write(
            f"on browser {browser_id}" if browser_id else "without a browser: a visit that begins"
        )

    def _say_gates(
        self, candidates: Sequence[FlowSnapshot], gates: Sequence[Gate], chosen: Chosen | None
    ) -> None:
        closed = {gate.flow: gate for gate in gates}
        for flow in candidates:
            gate = closed.get(flow.friendly_id)
            self.stdout.write("")
            self.stdout.write(f"{flow.friendly_id}  “{flow.definition.values['name']}”")
            if gate is not None:
                self.stdout.write(f"  closed at {gate.reason}: {gate.explanation}")
            elif chosen is not None and flow is chosen.flow:
                self.stdout.write(self.style.SUCCESS("  would run: every gate is open."))
                self._say_variant(chosen)
            else:
                self.stdout.write("  not asked: a flow before it answers.")

    def _say_variant(self, chosen: Chosen) -> None:
        assignment, variants = chosen.assignment, chosen.definition.variants.values()
        shares = ", ".join(f"{variant.name} {variant.weight:g}" for variant in variants)
        kind = " (the control)" if chosen.variant.is_control else ""
        self.stdout.write(f"  revision {chosen.definition.number}")
        self.stdout.write(
            f"  let in: the guest stands at {assignment.allocation_bucket * 100:.2f}, "
            f"and {chosen.definition.traffic.percent:g} % are let in"
        )
        self.stdout.write(
            f"  variant “{chosen.variant.name}”{kind}: the guest stands at "
            f"{assignment.split_bucket * 100:.2f} of 100, shared out as {shares}"
        )

    def _say_decision(self, decided: Decided) -> None:
        if not decided.model:
            return
        rows = ", ".join(map(str, decided.decision.rows))
        hit = f"hit by row {rows}" if rows else "hit by no row"
        self.stdout.write(f"  decision “{decided.model}”, revision {decided.revision}: {hit}")
        for name, value in decided.decision.outputs.items():
            self.stdout.write(f"    {name} = {msgspec.json.encode(value).decode()}")
        if decided.fault:
            self.stdout.write(self.style.WARNING(f"    broken: {decided.fault}"))

    def _say_answer(self, rendered: execution.Rendered) -> None:
        self.stdout.write("")
        if rendered.error:
            self.stdout.write(f"The answer: none, for its template fails: {rendered.error}")
            raise CommandError("The flow would run, and fail.", returncode=WOULD_NOT_RUN)
        if isinstance(rendered.content, str):
            self.stdout.write(f"The answer:\n{rendered.content}")
            return
        text = msgspec.json.format(msgspec.json.encode(rendered.content), indent=2).decode()
        self.stdout.write(f"The answer:\n{text}")


def _wrong(text: str) -> CommandError:
    return CommandError(text, returncode=WRONG_QUESTION)


def _client(given: str | None) -> ClientConfig:
    if given is None:
        found = clients.site_client()
        if found is None:
            names = ", ".join(Client.objects.order_by("name").values_list("name", flat=True))
            raise _wrong(f"Say which --client: {names}." if names else "There is no client yet.")
        return found
    by_key = clients.by_key(given)
    if by_key is not None:
        return by_key
    named = Client.objects.filter(name=given).first()
    if named is None:
        raise _wrong(f"There is no client “{given}”.")
    return clients.load(named)


def _friendly_id(client: ClientConfig, given: str) -> str:
    try:
        ref = UUID(given)
    except ValueError:
        return given
    known = Flow.objects.filter(client=client.id, ref=ref).values_list("friendly_id", flat=True)
    found = known.first()
    if found is None:
        raise _wrong(f"There is no flow with the ref {given}.")
    return found


def _candidates(client: ClientConfig, catalog: Catalog, friendly_id: str) -> Sequence[FlowSnapshot]:
    """Return every flow the call may mean, in order; those not live too, which a call passes by."""
    prefix = friendly_id[:-1] if friendly_id.endswith("*") else None
    if "*" in (friendly_id if prefix is None else prefix) or prefix == "":
        raise _wrong("A * stands at the end, after at least one letter.")
    if prefix is not None:
        found = list(catalog.starting_with(prefix))
    else:
        flow = catalog.flows.get(friendly_id)
        found = [flow] if flow else []
    if not found:
        raise _wrong(_why_unknown(client, friendly_id, prefix))
    return found


def _why_unknown(client: ClientConfig, friendly_id: str, prefix: str | None) -> str:
    if prefix is not None:
        return f"No published flow's friendlyId starts with “{prefix}”."
    flow = Flow.objects.filter(client=client.id, friendly_id=friendly_id).first()
    if flow is None:
        return f"There is no flow “{friendly_id}”."
    if flow.deleted_at is not None:
        return f"The flow “{friendly_id}” was deleted; it answers no calls."
    if flow.is_archived:
        return f"The flow “{friendly_id}” is archived; it answers no calls."
    return f"The flow “{friendly_id}” was never published; it answers no calls."


def _guest(client: ClientConfig, given: str) -> tuple[GuestFacts, str | None]:
    """Find a guest, and the browser whose visit counts: the one named, else the last one seen."""
    try:
        ref = UUID(given)
    except ValueError:
        found = _by_identifier(client, given)
    else:
        on_browser = guests.by_browser(client, str(ref))
        if on_browser is not None:
            return on_browser, str(ref)
        found = guests.by_ref(client, ref)
    if found is None:
        raise _wrong(f"Nobody is known as “{given}”.")
    browser_id = _last_browser(found)
    if browser_id is None:
        return found, None
    return guests.by_browser(client, browser_id) or found, browser_id


def _by_identifier(client: ClientConfig, given: str) -> GuestFacts | None:
    provider, separator, value = given.partition(":")
    if separator:
        return guests.by_identifier(client, provider, value)
    return guests.by_email(client, given) if "@" in given else None


def _last_browser(guest: GuestFacts) -> str | None:
    speaking = Guest.objects.speaking_through(guest.id)
    browsers = Identifier.objects.filter(provider=BROWSER, guest__in=speaking)
    visits = Session.objects.filter(browser__in=browsers).order_by("-ended_at")
    last = visits.values_list("browser__value", flat=True).first()
    return last or browsers.order_by("-pk").values_list("value", flat=True).first()


def _params(given: Sequence[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    for name, separator, _ in pairs:
        if not (name and separator):
            raise _wrong(f"--param {name!r} is not NAME=VALUE.")
    return {name: value for name, _, value in pairs}
