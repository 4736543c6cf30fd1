from __future__ import annotations

import gc
import json
import resource
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from personalize.html_context import safe_url
from personalize.liquid_sandbox import FILTERS, Budget
from personalize.rendering import Limits, RenderFailed, TemplateInvalid, compile_content
from tests.thoroughness import searches

GUEST = {
    "firstName": "Zoë <b>",
    "visits": 3,
    "vip": True,
    "score": 0.5,
    "nothing": None,
    "tags": ["a", "b"],
    "address": {"city": "Cork"},
}


def render_json(content: object, **data: object) -> Any:
    return compile_content("application/json", json.dumps(content)).render(data)


def render_text(text: str, **data: object) -> Any:
    """Render one text of a JSON document; the space keeps it from being a single value."""
    return render_json({"text": f" {text}"}, **data)["text"][1:]


def render_html(source: str, **data: object) -> Any:
    return compile_content("text/html", source).render(data)


def refusal(content_type: str, source: str) -> TemplateInvalid:
    with pytest.raises(TemplateInvalid) as caught:
        compile_content(content_type, source)
    return caught.value


# JSON content


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        ("{{ guest.visits }}", 3),
        ("{{ guest.visits | plus: 1 }}", 4),
        ("{{guest.vip}}", True),
        ("{{ guest.score }}", 0.5),
        ("{{ guest.nothing }}", None),
        ("{{ guest.shoeSize.left }}", None),
        ("{{ guest.tags }}", ["a", "b"]),
        ("{{ guest.address }}", {"city": "Cork"}),
        ("{{ guest.firstName }}", "Zoë <b>"),
        ("{{ (1..3) }}", [1, 2, 3]),
        ("{{ '1e308' | times: 10.5 }}", None),
        (" {{ guest.visits }}", " 3"),
        ("{{ guest.visits }}{{ guest.visits }}", "33"),
        ("Hi {{ guest.firstName }}!", "Hi Zoë <b>!"),
        ("{% if guest.vip %}yes{% else %}no{% endif %}", "yes"),
        ("{{ nobody }}-{{ nobody.at.home }}", "-"),
        ("plain", "plain"),
        ("{ { not a tag } }", "{ { not a tag } }"),
        ("", ""),
        (7, 7),
        (None, None),
        ([True, "{{ guest.visits }}"], [True, 3]),
    ],
)
def test_json__one_leaf__keeps_type_or_becomes_text(leaf: object, expected: object) -> None:
    content = render_json({"leaf": leaf}, guest=GUEST)

    assert content == {"leaf": expected}
    assert type(content["leaf"]) is type(expected)


def test_json__keys__are_no_templates() -> None:
    assert render_json({"{{ guest.visits }}": 1}, guest=GUEST) == {"{{ guest.visits }}": 1}


def test_json__each_render__gives_lists_and_objects_of_its_own() -> None:
    template = compile_content("application/json", '{"tags": "{{ guest.tags }}", "fixed": [1]}')
    guest = {"tags": ["a"]}

    first: Any = template.render({"guest": guest})
    first["tags"].append("b")
    first["fixed"].append(2)

    assert template.render({"guest": guest}) == {"tags": ["a"], "fixed": [1]}
    assert guest == {"tags": ["a"]}


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("", 1, "This is not valid JSON: Expecting value at column 1."),
        ('{\n  "a": 1,\n  "b" 2\n}', 3, "This is not valid JSON: Expecting ':' delimiter at "
         "column 7."),
        ("[1]", None, 'The content has to be a JSON object, such as {"title": "Hi"}.'),
        ('{"a": NaN}', None, "NaN is not a number that JSON has."),
        ('{"a": 1e999}', None, "1e999 is too large a number."),
        ('{"a": 9223372036854775808}', None, "9223372036854775808 is too large a number."),
        ('{"a": 1, "a": 2}', None, "“a” stands twice in one object."),
        ('{"a": "\\ud800"}', 1, "A \\u escape here is only half a character."),
        ('{"a": {"b":\n"x",\n"c": "{{ x"}}', 3, "“{{” is never closed."),
        ('{"a": "x", "b": [\n"\\"{{ y }}\\"",\n"{{ x | shout }}"]}', 3,
         "There is no filter “shout” here."),
        ('{"a": "{% include \'x\' %}"}', 1, "There is no tag “include” here."),
        ('{"a": "{{ }}"}', 1, "There is nothing inside this tag."),
        ('{"a": "{{ 1 2 }}"}', 1, None),
        ('{"a": "{% if x %}"}', 1, None),
        ('{"a": "{{ [x].y }}"}', 1, "A variable has to begin with its name, not with [...]."),
        ('{"a": "{% cycle x, y %}"}', 1, "“cycle” takes texts and numbers, not variables."),
    ],
)  # fmt: skip
def test_json__content_that_is_wrong__is_refused_with_its_line(
    source: str, line: int | None, message: str | None
) -> None:
    error = refusal("application/json", source)

    assert error.line == line
    assert message is None or error.message == message


@pytest.mark.parametrize("depth", [40, 9_000])
def test_json__nested_too_deep__is_refused(depth: int) -> None:
    # How deep a parser itself goes differs between versions of Python; the answer does not.
    error = refusal("application/json", '{"a":' * depth + "1" + "}" * depth)

    assert "levels deep" in error.message


def test_compile_content__another_type__is_refused() -> None:
    assert "use JSON or HTML" in refusal("text/plain", "x").message


def test_compile_content__half_a_character__is_refused() -> None:
    assert refusal("text/html", "a\nb\ud800").line == 2


def test_template__variables__are_the_names_it_reads() -> None:
    template = compile_content(
        "text/html",
        "{{ guest.name }}{% for o in offers %}{{ o.title | append: suffix }}{% endfor %}",
    )

    assert {"guest", "offers", "suffix"} <= template.variables


# HTML content


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p>{{ x }}</p>", "<p>&lt;i&gt; &amp; &#34;&#39;</p>"),
        ('<p title="{{ x }}">', '<p title="&lt;i&gt; &amp; &#34;&#39;">'),
        ("<p>{{ x | append: '<br>' }}</p>", "<p>&lt;i&gt; &amp; &#34;&#39;&lt;br&gt;</p>"),
        ("{{ x | escape }}", "&lt;i&gt; &amp; &#34;&#39;"),
        ("{{ x | escape | replace: '&lt;', '<' }}", "&lt;i&amp;gt; &amp;amp; &amp;#34;&amp;#39;"),
        ("{{ x | newline_to_br }}", "&lt;i&gt; &amp; &#34;&#39;"),
        ("{{ y | newline_to_br }}", "1<br />\n2"),
        ("{{ x | strip_html }}", " &amp; &#34;&#39;"),
        ("{{ list }}", "&lt;&gt;1"),
        ("{{ list | join: '<' }}", "&lt;&gt;&lt;1"),
        ("{% capture c %}<b>{{ x }}</b>{% endcapture %}{{ c }}",
         "<b>&lt;i&gt; &amp; &#34;&#39;</b>"),
        ('{% capture c %}"<b>"{% endcapture %}<p title="{{ c }}">',
         '<p title="&#34;&lt;b&gt;&#34;">'),
        ("{% echo x %}", "&lt;i&gt; &amp; &#34;&#39;"),
        ("{% cycle '<', '>' %}", "&lt;"),
        ("<p {% if x %}hidden{% endif %} class='{% if no %}a{% else %}b{% endif %}'>",
         "<p hidden class='b'>"),
        ("<a href='/p/{{ x }}'>", "<a href='/p/&lt;i&gt; &amp; &#34;&#39;'>"),
        ("<a href='{{ evil }}'>", "<a href='#'>"),
        ("<a href=\"{{ good }}?a={{ evil }}\">", '<a href="https://a.b/?a=javascript:alert(1)">'),
        ("<!-- {{ x }} -->", "<!--  -->"),
        ("<!-->{{ x }}<!--->", "<!-->&lt;i&gt; &amp; &#34;&#39;<!--->"),
        ("<svg/><script>1</script>{{ n }}", "<svg/><script>1</script>1"),
        ("<noscript><img src='/p?{{ n }}'></noscript>", "<noscript><img src='/p?1'></noscript>"),
        ("<script>let a = 1 < 2;</script>{{ y }}", "<script>let a = 1 < 2;</script>1\n2"),
        ("<textarea>{{ x }}</textarea>", "<textarea>&lt;i&gt; &amp; &#34;&#39;</textarea>"),
        ("<!doctype html><p>{{ n }}</p>", "<!doctype html><p>1</p>"),
        ("1 < 2 {{ n }}", "1 < 2 1"),
        ("{% raw %}{{ n }}{% endraw %}", "{{ n }}"),
        ("{% comment %}{% include 'x' %}{% endcomment %}ok", "ok"),
        ("<i data-x='{{ obj | json }}'>", "<i data-x='{&#34;a&#34;:&#34;\\u003c\\u0026&#34;}'>"),
        ("{{ safe_text }}", "&lt;b&gt;"),
    ],
)  # fmt: skip
def test_html__a_value__is_written_for_its_place(source: str, expected: str) -> None:
    data = {
        "x": "<i> & \"'", "y": "1\n2", "n": 1, "list": ["<>", 1], "evil": "javascript:alert(1)",
        "good": "https://a.b/", "obj": {"a": "<&"}, "safe_text": Markup("<b>"),
    }  # fmt: skip

    assert render_html(source, **data) == expected


@pytest.mark.parametrize(
    ("source", "line", "part"),
    [
        ("<script>\nlet a = '{{ x }}'</script>", 2, "cannot stand inside <script>"),
        ("<SCRIPT type=x>{{ x | json }}</SCRIPT>", 1, "cannot stand inside <script>"),
        ("<style>{{ x }}</style>", 1, "cannot stand inside <style>"),
        ("<script><!--</script>", 1, "Remove “<!--”"),
        ("<title><b title='</title>{{ x }}", 1, "Write &lt; instead"),
        ("<svg><style><!--</style>{{ x }}", 1, "Write &lt; instead"),
        ("<svg><script>1</script>", 1, "Move <script> out"),
        ("<svg><![CDATA[<p title=']]>{{ x }}", 1, "Take out “<![”"),
        ("<noscript><p title='</noscript>{{ x }}", 1, "Write &lt; instead"),
        ("<!-- {% increment a %} -->", 1, "out of the comment"),
        ("{% if a %}<script>{% endif %}{{ x }}", 1, "different places"),
        ('<p onclick="f({{ x }})">', 1, "“onclick”, which is code"),
        ("<p ONCLICK = '{{ x }}'>", 1, "“onclick”, which is code"),
        ('<p style="width: {{ x }}">', 1, "“style”, which is code"),
        ('<iframe srcdoc="{{ x }}">', 1, "“srcdoc”, which is code"),
        ('<p @click="{{ x }}">', 1, "which is code"),
        ('<p x-data="{{ x }}">', 1, "which is code"),
        ("<p\n title={{ x }}>", 2, "Put quotes around"),
        ("<p title=a{{ x }}>", 1, "Put quotes around"),
        ("<p {{ x }}>", 1, "not in a tag"),
        ("<{{ x }}>", 1, "not in a tag"),
        ("</{{ x }}>", 1, "not in a tag"),
        ("<p{{ x }}='a'>", 1, "not in a tag"),
        ('<script src="{{ x }}">', 1, "attribute of <script>"),
        ('<base href="{{ x }}">', 1, "attribute of <base>"),
        ('<iframe src="{{ x }}">', 1, "Begin the address"),
        ('<a href="java{{ x }}">', 1, "Begin the address"),
        ('<a href="javascript:{{ x }}">', 1, "Begin the address"),
        ('<a href="javascript&colon;{{ x }}">', 1, "Begin the address"),
        ('<a href="{{ x }}{{ y }}">', 1, "Begin the address"),
        ('<a href="{{ x }}:{{ y }}">', 1, "Begin the address"),
        ('<a href="{% if a %}https://b/{% endif %}{{ x }}">', 1, "Begin the address"),
        ("<p {% if a %}title{% endif %}='{{ x }}'>", 1, "Put a space after"),
        ("{% if a %}<p title='{% else %}<p title=\"{% endif %}", 1, "different places"),
        ("{% for a in b %}<p title='{% endfor %}", 1, "different places"),
        ("{% for a in b %}<p {% break %}>{% endfor %}", 1, "different places"),
        ("{% case a %}{% when 1 %}<p {% endcase %}>", 1, "different places"),
        ("{% capture a %}<p {% endcapture %}", 1, "different places"),
        ("<p title='", None, "ends inside"),
        ("<!-- x", None, "ends inside"),
        ("a\n{{ x | safe }}", 2, "There is no filter “safe” here."),
        ("a\n\n{% render 'x' %}", 3, "There is no tag “render” here."),
    ],
)
def test_html__a_value_that_escaping_cannot_save__is_refused(
    source: str, line: int | None, part: str
) -> None:
    error = refusal("text/html", source)

    assert (error.line, part in error.message) == (line, True), error


def test_html__blank_branches__still_keep_attributes_apart() -> None:
    source = "<p{% if a %} {% else %} {% endif %}title='{{ x }}'>"

    assert render_html(source, x="y") == "<p title='y'>"


class Structure(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(tag)

    def handle_comment(self, data: str) -> None:
        self.found.append("comment")


def structure(source: str) -> list[object]:
    parser = Structure()
    parser.feed(source)
    parser.close()
    return parser.found


SLOTS = compile_content(
    "text/html",
    "<p class='{{ x }}' title=\"{{ x | upcase }}\">{{ x }}</p>"
    "<a href='{{ x }}'>{{ x | escape }}</a>"
    "<!-- {{ x }} --><i data-x='{{ x | json }}'>{% capture c %}{{ x }}{% endcapture %}{{ c }}</i>"
    "<b title='{{ c }}'>{{ x | newline_to_br | replace: '&lt;', '<' }}{{ x | url_decode }}</b>",
)


@settings(deadline=None)
@given(
    st.text()
    | st.lists(
        st.sampled_from(["<", ">", "'", '"', "&", "lt;", "--", "!", "script", "=", "/", "%3C", "`"])
    ).map("".join)
)
def test_html__any_text_in_any_slot__leaves_the_page_as_it_was(text: str) -> None:
    content = SLOTS.render({"x": text})

    assert isinstance(content, str)
    assert structure(content) == structure(str(SLOTS.render({"x": "x"})))


@pytest.mark.parametrize(
    "url",
    ["javascript:a", "JavaScript:a", " javascript:a", "java\nscript:a", "\x01javascript:a",
     "data:text/html,x", "vbscript:a", "x\t:y", ":"],
)  # fmt: skip
def test_safe_url__a_scheme_that_could_run_code__becomes_a_hash(url: str) -> None:
    assert safe_url(url) == "#"


@pytest.mark.parametrize(
    "url", ["", "/a:b", "a/b:c", "?q=javascript:a", "#a:b", "HTTPS://a.b", "mailto:a@b.c", "//a.b"]
)
def test_safe_url__any_other_address__stays(url: str) -> None:
    assert safe_url(url) == url


# Data


class Secret:
    key = "secret"

    def __str__(self) -> str:
        return "secret"

    def __getitem__(self, name: str) -> str:
        return "secret"


def test_data__values_that_json_lacks__become_ones_it_has() -> None:
    data: dict[str, object] = {
        "decimal": Decimal("19.90"),
        "whole": Decimal("20.00"),
        "date": date(2026, 1, 31),
        "moment": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "uuid": UUID(int=1),
        "tuple": (1, 2),
        "nan": float("nan"),
        "huge": 10**400,
        "half": "a\ud800",
        "markup": Markup("<b>"),
    }

    content = render_json({"a": {name: f"{{{{ {name} }}}}" for name in data}}, **data)

    assert content["a"] == {
        "decimal": 19.9,
        "whole": 20,
        "date": "2026-01-31",
        "moment": "2026-01-31T12:00:00+00:00",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "tuple": [1, 2],
        "nan": None,
        "huge": None,
        "half": "a\ufffd",
        "markup": "<b>",
    }
    assert type(content["a"]["markup"]) is str


@pytest.mark.parametrize("value", [Secret(), {"a": [Secret()]}, {1: 2}, {"a": {"b"}}, b"x", len])
def test_data__an_object__is_refused(value: object) -> None:
    with pytest.raises(RenderFailed, match="plain data"):
        render_json({"a": "{{ x.key }}"}, x=value)


def test_data__an_entry_the_template_does_not_name__is_never_looked_at() -> None:
    assert render_json({"a": "{{ x }}"}, x=1, request=Secret()) == {"a": 1}


@pytest.mark.parametrize(
    "value", [["x"] * 100_001, "x" * 5_000_000, json.loads("[" * 50 + "]" * 50)]
)
def test_data__more_than_fits__is_refused(value: object) -> None:
    with pytest.raises(RenderFailed, match="too large or too deep"):
        render_json({"a": "{{ x }}"}, x=value)


# The clock


def test_now__is_what_the_data_says() -> None:
    text = "{{ now }}|{{ 'now' | date: '%d.%m.%Y' }}|{{ today }}"

    assert render_text(text, now="2026-01-31T12:00:00Z") == "2026-01-31T12:00:00Z|31.01.2026|"
    assert render_text(text) == "||"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31", "31 Jan"),
        ("2026-01-31T23:30:00+01:00", "31 Jan"),
        (0, "01 Jan"),
        (1_769_860_800, "31 Jan"),
        (1_769_860_800_000, "31 Jan"),
        ("someday", "someday"),
        (None, ""),
        (1e300, "1e+300"),
    ],
)
def test_date__any_value__is_formatted_or_left(value: object, expected: str) -> None:
    assert render_text("{{ x | date: '%d %b' }}", x=value) == expected


# Attacks

LOOPS = "{% for a in (1..1000) %}" * 4 + "x" + "{% endfor %}" * 4
NESTED_CASE = "{% case 1 %}{% when 1, 1 %}" * 18 + "{% endcase %}" * 18
GROW = (
    "{% assign x = 'xxxxxxxxxx' %}{% for i in (1..60) %}{% assign x = x | append: x %}{% endfor %}"
)
BIG = (
    "{% assign b = 'xxxxxxxxxx' %}{% for i in (1..16) %}{% assign b = b | append: b %}{% endfor %}"
)

STOPPED = {
    "nested loops": LOOPS,
    "a long range": "{% for a in (1..1000000000) %}x{% endfor %}",
    "a long range backwards": "{% for a in (1..1000000000) reversed %}x{% endfor %}",
    "a range beyond any": f"{{% for a in (1..{'9' * 400}) %}}x{{% endfor %}}",
    "a range joined": "{{ (1..1000000000) | join: 'x' }}",
    "a range searched": "{% assign r = (1..1000000000) %}{% if r contains 'x' %}y{% endif %}",
    "a range in a case": "{% case (1..1000000000) %}{% when 1 %}{% endcase %}",
    "a range as an argument": "{{ 'x' | append: (1..1000000000) }}",
    "a range measured": "{{ (1..1000000000) | size }}",
    "a text doubled": GROW,
    "a text doubled by capture": "{% assign x = 'xxxxxxxxxx' %}{% for i in (1..60) %}"
    "{% capture x %}{{ x }}{{ x }}{% endcapture %}{% endfor %}",
    "a list doubled": "{% assign x = 'a,b' | split: ',' %}{% for i in (1..60) %}"
    "{% assign x = x | concat: x %}{% endfor %}",
    "a list of one long text": BIG + "{% assign l = b | split: '|' %}{% for i in (1..30) %}"
    "{% assign l = l | concat: l %}{% endfor %}{{ l | join: '' }}",
    "a text replaced by a long one": BIG + "{{ b | replace: 'x', b }}",
    "a join with a long text": BIG + "{{ b | split: '' | join: b }}",
    "a join with a long named text": BIG
    + "{% assign l = 'a,b,c,d' | split: ',' %}{{ l | join: separator: b }}",
    "a number squared": "{% assign x = 9 %}{% for i in (1..60) %}{% assign x = x | times: x %}"
    "{% endfor %}",
    "output": "{% for a in (1..9999) %}" + "x" * 1000 + "{% endfor %}",
    "many small loops": "{% for a in (1..10000) %}{{ a | plus: 1 }}{% endfor %}" * 400,
    "branches that run twice": NESTED_CASE,
    "a padded date": "{{ '2026-01-01' | date: '%9999999d' }}",
    "a long date format": "{{ '2026-01-01' | date: f }}",
    "division by zero": "{{ 1 | divided_by: 0 }}",
    "infinity rounded": "{{ '1e999' | ceil }}",
    "a decimal beyond any": "{{ '1e999999999' | plus: 0.1 | modulo: 7 }}",
    "names of our own": "{{ 'x' | escape_once: environment: 1 }}",
    "our own context": "{{ 'x' | date: context: 1 }}",
    "many arguments": "{{ 'x' | upcase: 1, 2, 3 }}",
    "things that do not sort": "{{ mixed | sort }}",
    "bad base64": "{{ 'é' | base64_decode }}",
    "unlike things compared": "{% if 1 < 'x' %}{% endif %}",
    "many long variables": BIG
    + "".join(f"{{% assign v{n} = b | append: '{n}' %}}" for n in range(9)),
}


@pytest.mark.parametrize("source", STOPPED.values(), ids=STOPPED.keys())
@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
def test_render__a_template_out_of_hand__is_stopped_soon_and_small(
    content_type: str, source: str
) -> None:
    document = source if content_type == "text/html" else json.dumps({"a": f" {source}"})
    template = compile_content(content_type, document)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(RenderFailed) as caught:
        template.render({"x": {}, "f": "%d" * 200_000, "mixed": [1, "a", None]})

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 40 * 1024
    assert caught.value.message.startswith("The template ")
    assert "secret" not in caught.value.message


def test_render__json_of_many_leaves__shares_one_limit() -> None:
    leaf = "{% for a in (1..100) %}0123456789{% endfor %}"
    limits = Limits(output_bytes=10_000, seconds=60)
    fits, exceeds = (
        compile_content("application/json", json.dumps({"a": [leaf] * number}), limits=limits)
        for number in (10, 11)
    )

    assert fits.render({})

    with pytest.raises(RenderFailed, match="output is larger than 10000 bytes"):
        exceeds.render({})


def test_render__time_limit__is_told_in_the_message() -> None:
    template = compile_content("text/html", NESTED_CASE, limits=Limits(seconds=0.01))

    with pytest.raises(RenderFailed, match="stopped.*: it took longer than 10 ms"):
        template.render({})


REFUSED_SOON = {
    "never closed": "{{" + " " * 200_000,
    "many never closed": "{{ x " * 50_000,
    "a tag never closed": "{% if" + " " * 200_000,
    "spaces in a tag": "{{" + " " * 200_000 + "}}",
    "spaces after a name": "{% if" + " " * 1_900 + "%}{% endif %}",
    "a name without end": "{% " + "a" * 200_000 + " %}",
    "raw never closed": "{% raw %}" * 25_000,
    "doc never closed": "{% doc %}" * 25_000,
    "comments never closed": "{% comment %}" * 10_000,
    "brackets": "{{ x" + "[x" * 600 + "]" * 600 + " }}",
    "parentheses": "{{ " + "(" * 1_900 + " }}",
    "quotes": "{{ x" + "['" * 900 + "|" * 100 + " }}",
    "a long condition": "{% if x" + " or x" * 395 + " %}{% endif %}" + "{{ x | nope }}",
    "blocks": "{% if x %}" * 2_000 + "{% endif %}" * 2_000,
    "too large": "x" * (256 * 1024 + 1),
    "a half open tag": "<a " * 80_000,
    "a half open comment": "<!--" * 60_000,
    "include": "{% include 'x' %}",
    "render": "{% render 'x' %}",
    "extends": "{% extends 'x' %}",
    "block": "{% block x %}{% endblock %}",
    "macro": "{% macro x %}{% endmacro %}",
    "debug": "{% debug %}",
    "load": "{% load x %}",
    "liquid": "{% liquid echo x %}",
    "tablerow": "{% tablerow a in b %}{% endtablerow %}",
    "ifchanged": "{% ifchanged %}x{% endifchanged %}",
    "safe": "{{ x | safe }}",
    "ljust": "{{ x | ljust: 300000000 }}",
    "center": "{{ x | center: 300000000 }}",
    "attr": "{{ x | attr: '__class__' }}",
    "format": "{{ '%s' | format: x }}",
    "escapejs": "{{ x | escapejs }}",
    "a filter in a condition's branch": "{% if x %}{% for a in b %}{{ a | evil }}{% endfor %}"
    "{% endif %}",
    "a call": "{{ x.y() }}",
    "arithmetic": "{{ 9 ** 9 }}",
    "a computed name": "{{ [x] }}",
}


@pytest.mark.parametrize("source", REFUSED_SOON.values(), ids=REFUSED_SOON.keys())
def test_compile_content__a_hostile_template__is_refused_soon(source: str) -> None:
    refusal("text/html", source)


@pytest.mark.parametrize(
    "path",
    ["__class__", "__class__.__mro__", "x.__class__", "x.keys", "x.items", "x.pop", "s.upper",
     "s.__len__", "l.append", "l.__class__", "n.real", "x['__dict__']", "forloop.__class__",
     "x.first.__class__", "self", "env", "context", "request", "settings", "partial", "globals"],
)  # fmt: skip
def test_render__a_path_to_something_not_in_the_data__is_empty(path: str) -> None:
    assert render_text(f"{{{{ {path} }}}}", x={"a": "b"}, s="text", l=[1], n=1) == ""


def test_render__a_variable_called_partial__is_the_datas() -> None:
    assert render_text("{{ partial }}", partial="mine") == "mine"


@pytest.mark.parametrize("name", sorted(FILTERS | {"date", "json", "strip_html", "uniq"}))
@pytest.mark.parametrize("arguments", ["", ": nothing", ": nothing, nothing"])
@pytest.mark.parametrize("data", [{}, {"nothing": None}], ids=["undefined", "null"])
def test_filter__an_undefined_value_or_null__never_fails(
    name: str, arguments: str, data: dict[str, object]
) -> None:
    render_text(f"{{{{ nothing | {name}{arguments} }}}}", **data)


@pytest.mark.parametrize(
    "source",
    ["{% if nothing < 3 %}{% endif %}", "{% for a in nothing %}{% endfor %}",
     "{% if nothing contains 'x' %}{% endif %}", "{% for a in (nothing..nothing) %}{% endfor %}",
     "{% case nothing %}{% when 1 %}{% endcase %}", "{{ nothing[nothing].x[0] }}",
     "{{ 'a' | append: nothing | plus: nothing | date: nothing }}"],
)  # fmt: skip
def test_render__an_undefined_variable_anywhere__never_fails(source: str) -> None:
    render_text(source)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=searches(300), deadline=None)
@given(st.sampled_from(sorted(FILTERS | {"date", "json", "strip_html", "uniq"})), values,
       st.lists(values, max_size=2))  # fmt: skip
def test_filter__any_values__give_json_or_fail_by_name(
    name: str, value: object, arguments: list[object]
) -> None:
    names = ["a", "b"][: len(arguments)]
    colon = ": " + ", ".join(names) if names else ""
    template = compile_content(
        "application/json", json.dumps({"leaf": f"{{{{ x | {name}{colon} }}}}"})
    )

    try:
        content = template.render({"x": value, **dict(zip(names, arguments, strict=True))})
    except RenderFailed:
        return

    json.dumps(content, allow_nan=False).encode()


@settings(deadline=None)
@given(st.text(alphabet="{}%|'\"[]().<>=-!/ abif:,\n#") | st.text())
def test_compile_content__any_text__is_compiled_or_refused(source: str) -> None:
    try:
        template = compile_content("text/html", source)
    except TemplateInvalid:
        return

    try:
        template.render({})
    except RenderFailed:
        return


def test_time_limit__while_the_garbage_collector_runs__counts_the_template_alone() -> None:
    rubbish: list[Any] = [[n] for n in range(1_000_000)]
    budget = Budget(Limits(seconds=0.005))

    for _ in range(5):
        gc.collect()
    budget.tick()

    assert len(rubbish) == 1_000_000
