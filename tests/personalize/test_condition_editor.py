"""Condition trees in the admin's form: nothing is lost on the way there and back."""

import re
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from personalize import conditions
from personalize.admin import condition_tree
from personalize.admin.condition_editor import ConditionEditor
from tests.personalize.test_conditions import behaviours, is_shallow, json_values, leaves, trees

odd_texts = st.sampled_from(
    ["a, b", '"quoted"', " edges ", "two\nlines", "1 to 3", 'x"y, z', "ß", "\x7f", ",", '""']
)
texts_with_quotes = st.builds(
    lambda name, operator, items: {
        "field": name,
        "operator": operator,
        "value": items if "any" in operator or "one" in operator else items[0],
    },
    st.sampled_from(["guest.email", "request.params.a", "request.params. b ", "page"]),
    st.sampled_from(["is", "is_one_of", "contains", "is_not_one_of"]),
    st.lists(odd_texts, min_size=1, max_size=3),
)
any_trees: st.SearchStrategy[dict[str, Any]] = st.recursive(
    leaves() | behaviours | texts_with_quotes | st.just({"all": []}),
    lambda inner: (
        st.builds(
            lambda kind, nodes: {kind: nodes},
            st.sampled_from(["all", "any"]),
            st.lists(inner, min_size=1, max_size=3),
        )
        | st.builds(lambda node: {"not": node}, inner)
    ),
    max_leaves=8,
).filter(is_shallow)


def posted(editor: ConditionEditor) -> dict[str, Any]:
    """Return what a browser posts of the editor, as it is shown."""
    name = editor.name
    values: dict[str, Any] = {
        f"{name}-mode": editor.mode,
        f"{name}-seen": editor.seen,
        f"{name}-json": editor.json_text,
    }
    if editor.is_json:
        return values
    values[f"{name}-parts"] = editor.count
    for part in editor.root.everything():
        for bound in part.form:
            value = bound.value()
            if value is not None and value is not False and value != "":
                values[bound.html_name] = str(value)
    return values


@given(any_trees)
def test_tree__shown_and_posted_untouched__is_the_same_tree(tree: dict[str, Any]) -> None:
    values = posted(ConditionEditor("audience", tree))

    assert values["audience-mode"] == "rows"
    assert ConditionEditor("audience", tree, values).tree == tree


@given(any_trees, st.data())
def test_tree__with_one_line_added__keeps_all_others_as_they_were(
    tree: dict[str, Any], data: st.DataObject
) -> None:
    editor = ConditionEditor("audience", tree)
    values = posted(editor)
    groups = [part for part in editor.root.everything() if part.is_group and not part.is_extra]
    group = data.draw(st.sampled_from(groups))
    extra = next(part for part in group.parts if part.is_extra and not part.is_group)
    values |= {
        f"audience-{extra.number}-field": "guest.city",
        f"audience-{extra.number}-operator": "is",
        f"audience-{extra.number}-value": "Cork",
    }

    try:
        changed = ConditionEditor("audience", tree, values).tree
    except ValidationError as error:
        # A negated comparison has become a group: one deeper than the language takes.
        assert "nested more than 8 deep" in str(error)
        return

    added = {"field": "guest.city", "operator": "is", "value": "Cork"}
    before, after = flat(tree), flat(changed)
    after.remove(added)
    assert after == before


def flat(node: Any) -> list[Any]:
    """Return the leaves of a tree, as they are."""
    kind = next((kind for kind in ("all", "any", "not") if kind in node), None)
    if kind is None:
        return [node]
    members = [node[kind]] if kind == "not" else node[kind]
    return [leaf for member in members for leaf in flat(member)]


@given(trees.filter(is_shallow))
def test_tree__typed_anew_as_it_is_shown__means_the_same(tree: dict[str, Any]) -> None:
    editor = ConditionEditor("audience", tree)
    kept = [part.sentence for part in editor.root.everything() if part.sentence]
    values = posted(editor)
    typed = {name: value for name, value in values.items() if not name.endswith("-was")}
    if kept:
        return

    changed = ConditionEditor("audience", tree, typed).tree

    assert said(changed) == said(tree)


def said(tree: dict[str, Any]) -> str:
    """Return what a tree means, whether a value is a number or spells one."""
    sentence = conditions.compile(tree).sentence
    return re.sub(r"[“”]|(?<=\d)\.0\b", "", sentence)


@given(json_values.filter(lambda value: isinstance(value, dict)))
def test_editor__of_anything_stored__shows_it_and_takes_it_back_if_it_is_valid(
    tree: dict[str, Any],
) -> None:
    editor = ConditionEditor("audience", tree)

    assert isinstance(editor.sentence, str)
    again = ConditionEditor("audience", tree, posted(editor))
    if conditions.validate(tree):
        with pytest.raises(ValidationError):
            _ = again.tree
    else:
        assert again.tree == tree


def test_leaf__that_inputs_cannot_hold__is_its_sentence_between_the_others() -> None:
    odd = {"field": "guest.email", "operator": "is", "value": "two\nlines"}
    gone = {"field": "crm.gone", "operator": "is", "value": "x"}
    tree = {"any": [odd, {"field": "page", "operator": "is", "value": "/"}, gone]}

    editor = ConditionEditor("audience", tree)

    sentences = [part.sentence for part in editor.root.everything() if part.sentence]
    assert sentences == [
        "Guest email is “two\nlines”",
        "There is no field “crm.gone”: choose one of the fields listed.",
    ]
    values = posted(editor)
    with pytest.raises(ValidationError, match="There is no field “crm.gone”"):
        _ = ConditionEditor("audience", tree, values).tree
    removed = next(part for part in editor.root.everything() if "crm.gone" in part.sentence)
    changed = ConditionEditor(
        "audience", tree, {**values, f"audience-{removed.number}-DELETE": "on"}
    )
    assert changed.tree == {"any": tree["any"][:2]}


@pytest.mark.parametrize(
    ("kind", "lines", "expected"),
    [
        ("none", 1, {"not": 0}),
        ("none", 2, {"not": {"any": [0, 1]}}),
        ("not_all", 2, {"not": {"all": [0, 1]}}),
        ("any", 1, {"any": [0]}),
        ("none", 0, {}),
    ],
)
def test_box__of_each_kind__is_the_group_that_says_it(kind: str, lines: int, expected: Any) -> None:
    made = [condition_tree.Line("guest.city", operator="is", value=str(at)) for at in range(lines)]

    tree = condition_tree.tree_of(condition_tree.Box(kind, tuple(made)), condition_tree.Shown({}))

    def spell(node: Any) -> Any:
        if isinstance(node, int):
            return {"field": "guest.city", "operator": "is", "value": str(node)}
        if isinstance(node, list):
            return [spell(each) for each in node]
        return {key: spell(value) for key, value in node.items()}

    assert tree == spell(expected)


def test_parts__that_lie_in_themselves_or_nowhere__are_nothing() -> None:
    values = posted(ConditionEditor("audience", {}))
    values["audience-parts"] = 400
    for number in range(10, 300):
        values |= {f"audience-{number}-part": "group", f"audience-{number}-kind": "all"}
        values[f"audience-{number}-parent"] = str(number + 1 if number < 299 else 10)

    assert ConditionEditor("audience", {}, values).tree == {}

    values["audience-10-parent"] = "0"
    for number in range(11, 300):
        values[f"audience-{number}-parent"] = str(number - 1)
    with pytest.raises(ValidationError):
        _ = ConditionEditor("audience", {}, values).tree


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"detail": "hero", "variant": "Won", "operator": "times_once"}, None),
        ({"detail": "hero", "variant": "Won", "operator": "times_never"}, None),
        ({"variant": "Won", "operator": "times_once"}, "Name the experience by its friendly ID."),
        (
            {"detail": "hero", "operator": "times_once"},
            "Name the goal, as the experience has it.",
        ),
        (
            {"detail": "hero", "variant": "Won", "operator": "times_at_least", "value": "2"},
            "A goal is reached at least once, or never.",
        ),
        (
            {"detail": "hero", "variant": "Won", "operator": "times_once", "within": "session"},
            "“converted” is “within” days or “ever”: visits are not told apart.",
        ),
    ],
)
def test_line__about_a_goal__is_the_condition_or_says_what_it_lacks(
    typed: dict[str, str], problem: str | None
) -> None:
    values = posted(ConditionEditor("audience", {}))
    row = {f"audience-1-{name}": value for name, value in typed.items()}
    editor = ConditionEditor("audience", {}, values | {"audience-1-field": "converted"} | row)

    if problem is None:
        never = {"at_most": 0} if typed["operator"] == "times_never" else {}
        leaf = {"converted": "hero", "goal": "Won", **never, "within": "ever"}
        assert editor.tree == {"all": [leaf]}
        return
    with pytest.raises(ValidationError):
        _ = editor.tree
    (part,) = [part for part in editor.root.parts if part.number == 1]
    assert [text for texts in part.form.errors.values() for text in texts] == [problem]
