"""
`manage.py explain_flow`: would this flow run for that guest now? If not, which gate closed?

With `--execution`: why a flow ran in the past.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from personalize import explaining, visits
from personalize.bucketing import BUCKETS
from personalize.conditions import normalise_params
from personalize.execution import Rendered
from personalize.explaining import Past, Question
from personalize.models import Execution, Flow
from personalize.stories import DecisionStory, End, FlowStory, Share, Story
from personalize.visits import Named
from tracking import clients
from tracking.models import Client
from tracking.types import ClientConfig

#: Exit statuses: 0 it would run, 1 it would not, 2 the question itself is wrong.
WOULD_NOT_RUN, WRONG_QUESTION = 1, 2


class Command(BaseCommand):
    help = (
        "Say which flow a call would run for a guest now, and which gate of the others closed; or, "
        "with --execution, why a flow ran in the past. Records nothing. Exit status: 0 a flow "
        "would run or did run, 1 none would, 2 unknown flow, guest or execution."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("flow", nargs="?", help="A friendlyId, a prefix* (quoted), or a ref.")
        parser.add_argument(
            "guest", nargs="?", help="A guest's ref, a browser id, an e-mail, PROVIDER:ID."
        )
        parser.add_argument("--execution", metavar="REF", help="A run of the past, by its ref.")
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
        if options["execution"]:
            self._explain_past(options["execution"])
        elif options["flow"] and options["guest"]:
            self._explain_now(options)
        else:
            raise _wrong("Name a flow and a guest, or an --execution.")

    def _explain_now(self, options: dict[str, Any]) -> None:
        client = _client(options["client"])
        friendly_id = _friendly_id(client, options["flow"])
        named = visits.find_guest(client, options["guest"])
        if named is None:
            raise _wrong(f"Nobody is known as “{options['guest']}”.")
        question = _question(client, friendly_id, options)
        try:
            found = explaining.why(client, question, named, now=timezone.now())
        except explaining.UnknownFlow as error:
            raise _wrong(str(error)) from None
        self._say_who(named, found.visitor.browser_id)
        for fault in found.source_faults:
            self.stdout.write(self.style.WARNING(f"A source of the site failed: {fault}"))
        self._say_story(found.story)
        if found.rendered is None:
            raise CommandError("No flow would run.", returncode=WOULD_NOT_RUN)
        self._say_answer(found.rendered)

    def _explain_past(self, given: str) -> None:
        try:
            rows = Execution.objects.select_related("flow", "guest").filter(pk=UUID(given))
        except ValueError:
            raise _wrong(f"“{given}” is not the ref of an execution.") from None
        run = rows.first()
        if run is None:
            raise _wrong(f"There is no execution {given}.")
        told = explaining.past(run, now=timezone.now())
        self.stdout.write(f"“{run.flow.name}” ran for guest {run.guest.ref}")
        self.stdout.write(f"at {run.occurred_at.isoformat()}")
        if told.story is None:
            raise CommandError(
                "Its record is not kept any more: why it ran cannot be told.",
                returncode=WOULD_NOT_RUN,
            )
        self._say_story(told.story)
        self._say_replay(told)
        self._say_then_and_now(told)

    def _say_who(self, named: Named, browser_id: str | None) -> None:
        guest = named.guest
        email = f", {guest.texts['email']}" if guest.texts["email"] else ""
        self.stdout.write(f"Guest {guest.ref} ({guest.type.lower()}{email})")
        self.stdout.write(
            f"on browser {browser_id}" if browser_id else "without a browser: a visit that begins"
        )

    def _say_story(self, story: Story) -> None:
        for flow in story.flows:
            self.stdout.write("")
            self.stdout.write(f"{flow.friendly_id}  “{flow.name}”")
            self._say_flow(flow, is_past=story.is_past)
            if flow.end is End.SHOWN and story.decision is not None:
                self._say_decision(story.decision)
        if story.more:
            self.stdout.write(f"\n{story.more} more flows were asked before.")

    def _say_flow(self, flow: FlowStory, *, is_past: bool) -> None:
        closed = "; ".join(flow.closed.because) if flow.closed else flow.note
        if flow.end is End.CLOSED:
            self.stdout.write(f"  closed at {flow.reason}: {closed}")
        elif flow.end is End.NOT_ASKED:
            self.stdout.write("  not asked: a flow before it answers.")
        else:
            ran = "ran: every gate was open." if is_past else "would run: every gate is open."
            self.stdout.write(self.style.SUCCESS(f"  {ran}"))
        for gate in flow.gates:
            # What is closed is said above, where it is the first.
            if flow.end is End.SHOWN or gate is not flow.closed:
                state = "open" if gate.is_open else "closed too"
                self.stdout.write(f"    {gate.name} {state}: {'; '.join(gate.because)}")
        if flow.share is not None:
            self._say_variant(flow, flow.share)

    def _say_variant(self, flow: FlowStory, share: Share) -> None:
        shares = ", ".join(f"{each.name} {each.weight:g}" for each in share.shares)
        kind = " (the control)" if share.is_control else ""
        self.stdout.write(f"  revision {flow.revision}")
        if share.allocation_bucket is not None:
            self.stdout.write(
                f"  let in: the guest stands at {share.allocation_bucket:.2f}, "
                f"and {share.percent:g} % are let in"
            )
        stands = (
            f"has bucket {share.universal_bucket} of {BUCKETS}"
            if share.universal_bucket is not None
            else f"stands at {share.split_bucket:.2f} of 100"
        )
        self.stdout.write(
            f"  variant “{share.mine.name}”{kind}: the guest {stands}, shared out as {shares}; "
            f"this one has {share.mine.low:g} to {share.mine.high:g}"
        )

    def _say_decision(self, decision: DecisionStory) -> None:
        rows = ", ".join(map(str, decision.numbers))
        hit = f"hit by row {rows}" if rows else "hit by no row"
        self.stdout.write(f"  decision “{decision.model}”, revision {decision.revision}: {hit}")
        for row in decision.rows:
            self.stdout.write(f"    row {row.number}: {'; '.join(row.because)}")
        for name, value in decision.outputs.items():
            self.stdout.write(f"    {name} = {msgspec.json.encode(value).decode()}")
        for offer in decision.offers:
            self.stdout.write(f"    offer “{offer.name}”: {offer.state}")
        if decision.note:
            self.stdout.write(f"    {decision.note}")
        if decision.fault:
            self.stdout.write(self.style.WARNING(f"    broken: {decision.fault}"))

    def _say_replay(self, told: Past) -> None:
        replayed = told.replayed
        if replayed is None:
            return
        self.stdout.write("")
        if replayed.is_equal:
            self.stdout.write(self.style.SUCCESS("Made again from its record, it is the same."))
        for difference in replayed.differences:
            self.stdout.write(self.style.ERROR(f"Made again, it differs. {difference.sentence}"))
        for obstacle in replayed.obstacles:
            self.stdout.write(self.style.WARNING(f"Not replayable: {obstacle}"))
        for part in replayed.by_outcome:
            self.stdout.write(f"Of {part} only the outcome was kept.")

    def _say_then_and_now(self, told: Past) -> None:
        self.stdout.write("")
        self.stdout.write("The same call now:")
        if told.now is None:
            self.stdout.write(f"  {told.why_not_now}")
            return
        for sentence in told.now.story.sentences:
            self.stdout.write(f"  {sentence}")

    def _say_answer(self, rendered: Rendered) -> None:
        self.stdout.write("")
        if rendered.error:
            self.stdout.write(f"The answer: none, for its template fails: {rendered.error}")
            raise CommandError("The flow would run, and fail.", returncode=WOULD_NOT_RUN)
        if isinstance(rendered.content, str):
            self.stdout.write(f"The answer:\n{rendered.content}")
            return
        text = msgspec.json.format(msgspec.json.encode(rendered.content), indent=2).decode()
        self.stdout.write(f"The answer:\n{text}")


def _question(client: ClientConfig, friendly_id: str, options: dict[str, Any]) -> Question:
    point_of_sale = None
    if options["point_of_sale"]:
        point_of_sale = client.point_of_sale(name=options["point_of_sale"])
        if point_of_sale is None:
            valid = ", ".join(client.points_of_sale)
            raise _wrong(f"There is no such point of sale. Valid ones: {valid}.")
    return Question(
        friendly_id=friendly_id,
        channel=options["channel"].upper(),
        language=options["language"].upper(),
        page=options["page"],
        params=normalise_params(_params(options["param"])),
        point_of_sale=point_of_sale,
    )


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


def _params(given: Sequence[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    for name, separator, _ in pairs:
        if not (name and separator):
            raise _wrong(f"--param {name!r} is not NAME=VALUE.")
    return {name: value for name, _, value in pairs}
