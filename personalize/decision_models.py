"""
What may happen to a decision model: saved, published, restored, deleted.

The admin and the REST API both come here, so that a rule holds for both.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from personalize import catalogs, decisions, friendly_ids, stored_conditions
from personalize.decisions import Decider, Problem, Review
from personalize.models import DecisionModel, DecisionRevision, Flow, Offer
from tracking import db

_MOST_SAID = 10
_EDITED = ("name", "friendly_id", "description", "draft", "modified_by", "modified_at")


class DecisionError(ValueError):
    """
    A change that a decision model does not take; the text says why, `code` names the rule.

    `problems` lists everything at once where a document is wrong.
    """

    def __init__(self, code: str, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.problems = list(problems)


def check(client_id: int, document: Any) -> tuple[dict[str, Any], Review]:
    """
    Return the document as it is stored, and what a person should judge about it.

    Raises DecisionError when it cannot be saved.
    """
    if isinstance(document, dict) and "callable" in document:
        document = _declared(document)
    try:
        decider = decisions.compile(document)
    except decisions.DecisionInvalid as error:
        raise _refused(error.problems) from None
    _cases, problems = decisions.read_cases(document.get("tests"), decider.outputs)
    review = decisions.review(decider)
    unknown = stored_conditions.unknown_segments(client_id, decisions.segments_in(document))
    problems = [
        *problems,
        *review.problems,
        *_missing_offers(client_id, document),
        *(Problem("rows", sentence) for sentence in unknown),
    ]
    if problems:
        raise _refused(problems)
    return document, review


def _refused(problems: Sequence[Problem]) -> DecisionError:
    said = " ".join(problem.message for problem in problems[:_MOST_SAID])
    return DecisionError("decision_invalid", said, problems)


def _declared(document: dict[str, Any]) -> dict[str, Any]:
    """Write a callable's outputs into its document, so that they are known when it is gone."""
    name = document.get("callable")
    found = decisions.find(name) if isinstance(name, str) else None
    if found is None:
        known = ", ".join(f"“{each.name}”" for each in decisions.registered()) or "none yet"
        message = f"No decision called “{name}” is registered; there is: {known}."
        raise _refused([Problem("callable", message)])
    outputs = [
        {"name": output.name, "type": str(output.type), "default": output.default}
        for output in found.outputs
    ]
    return {**document, "outputs": outputs}


def _missing_offers(client_id: int, document: Any) -> list[Problem]:
    named = decisions.offers_in(document)
    rows = Offer.objects.kept().filter(client=client_id, ref__in=named)
    usable = rows.exclude(status=Offer.Status.ARCHIVED)
    there = {str(ref) for ref in usable.values_list("ref", flat=True)}
    return [
        Problem("rows", f"There is no offer {ref} any more: choose one that is not archived.")
        for ref in sorted(named - there)
    ]


def save(model: DecisionModel, *, by: AbstractBaseUser | None = None) -> Review:
    """
    Store a model's draft, and return what a person should judge about it. Raises DecisionError.

    What runs does not change before it is published.
    """
    if not model.name.strip():
        raise DecisionError("name_missing", "A decision model needs a name.")
    model.draft, review = check(model.client_id, model.draft)
    with db.write():
        # Under the lock, so that two who ask for one id at once are told apart.
        catalogs.lock(model.client_id)
        _check_kept(model)
        if model.friendly_id:
            check_friendly_id(model, model.friendly_id)
        else:
            model.friendly_id = _free_id(model)
        model.modified_by = by  # type: ignore[assignment]
        # Not what was published: somebody may have published while this one was typing.
        model.save(update_fields=_EDITED if model.pk else None)
    return review


def _check_kept(model: DecisionModel) -> None:
    rows = DecisionModel.objects.filter(pk=model.pk, deleted_at__isnull=False)
    if model.deleted_at is not None or rows.exists():
        raise DecisionError("decision_deleted", "The decision model was deleted.")


def check_friendly_id(model: DecisionModel, wanted: str) -> None:
    """Check an id that was chosen by hand. Raises DecisionError."""
    if not friendly_ids.is_valid(wanted):
        raise DecisionError("friendly_id_invalid", friendly_ids.RULE)
    rows = DecisionModel.objects.filter(client=model.client_id)
    stored = rows.filter(pk=model.pk).values_list("friendly_id", flat=True).first()
    if model.published_id and stored != wanted:
        raise DecisionError(
            "friendly_id_fixed", "The friendly ID is fixed since the model was first published."
        )
    owner = rows.filter(friendly_id=wanted).exclude(pk=model.pk).first()
    if owner is not None:
        gone = "belongs to a deleted model and is never used again"
        state = gone if owner.deleted_at else f"belongs to “{owner.name}”"
        raise DecisionError("friendly_id_taken", f"The friendly ID “{wanted}” {state}.")


def _free_id(model: DecisionModel) -> str:
    wanted = friendly_ids.from_name(model.name, fallback="decision")
    taken = DecisionModel.objects.filter(client=model.client_id, friendly_id__startswith=wanted)
    return friendly_ids.first_free(wanted, set(taken.values_list("friendly_id", flat=True)))


def publish(
    model: DecisionModel, *, by: AbstractBaseUser | None = None, now: datetime
) -> DecisionRevision:
    """
    Make the draft what runs: a new revision, which nothing changes any more.

    Raises DecisionError while a test case fails, or an offer that it names is gone.
    """
    document, _review = check(model.client_id, model.draft)
    failed = test(document, now=now)
    if failed:
        said = " ".join(failure.message for failure in failed[:_MOST_SAID])
        raise DecisionError("tests_failed", f"It cannot be published while a test fails. {said}")
    with db.write():
        version = catalogs.next_version(model.client_id)
        _check_kept(model)
        numbers = model.revisions.order_by("-number").values_list("number", flat=True)
        revision = DecisionRevision.objects.create(
            model=model,
            number=(numbers.first() or 0) + 1,
            document=document,
            published_at=now,
            published_by=by,  # type: ignore[misc]
        )
        DecisionModel.objects.filter(pk=model.pk).update(
            published=revision, catalog_version=version
        )
    model.published, model.catalog_version = revision, version
    return revision


def test(document: Any, *, now: datetime) -> list[decisions.Failure]:
    """Run the test cases of a document that was checked, and return those that fail."""
    decider: Decider = decisions.compile(document)
    cases, _problems = decisions.read_cases(document.get("tests"), decider.outputs)
    return decisions.failures(decider, cases, now=now)


def broken(model: DecisionModel) -> list[str]:
    """Return what is wrong with the revision that decides now; it answers its defaults then."""
    if model.published is None:
        return []
    document = model.published.document
    try:
        decider = decisions.compile(document)
    except decisions.DecisionInvalid as error:
        return [problem.message for problem in error.problems[:_MOST_SAID]]
    problems = [problem.message for problem in _missing_offers(model.client_id, document)]
    if isinstance(decider, decisions.CompiledCall) and decider.registered is None:
        problems.append(f"No decision called “{document['callable']}” is registered any more.")
    return problems


def restore(
    model: DecisionModel, revision: DecisionRevision, *, by: AbstractBaseUser | None = None
) -> Review:
    """Make a revision the draft again. Raises DecisionError when it is no longer valid."""
    model.draft = revision.document
    return save(model, by=by)


def delete(model: DecisionModel, *, now: datetime) -> None:
    """Take a model away for good. Raises DecisionError while a flow names it."""
    with db.write():
        version = catalogs.next_version(model.client_id)
        users = users_of(model)
        if users:
            names = ", ".join(f"“{flow.name}”" for flow in users)
            raise DecisionError(
                "decision_in_use",
                f"The decision model is used by {names}. Choose another one there and publish, "
                "or complete those flows, before you delete it.",
            )
        DecisionModel.objects.filter(pk=model.pk, deleted_at__isnull=True).update(
            deleted_at=now, catalog_version=version
        )
    model.deleted_at = now


def users_of(model: DecisionModel) -> list[Flow]:
    """Return the flows that may still run and name a model, in their draft or as published."""
    flows = Flow.objects.kept().filter(client=model.client_id)
    running = flows.exclude(status=Flow.Status.COMPLETED).select_related("published")
    return [
        flow
        for flow in running.order_by("name", "pk")
        if flow.decision_model_id == model.pk
        or (flow.published and flow.published.definition.get("decisionModel") == model.friendly_id)
    ]
