"""`{% load personalize %}`: experiences inside a site's own templates."""

from typing import Any

from django import template
from django.http import HttpRequest
from django.template import Context, Node, NodeList, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token
from django.utils.safestring import SafeString, mark_safe

from personalize import site

register = template.Library()


class ExperienceNode(Node):
    """The personalised content, or what the page's author wrote between the tags."""

    def __init__(self, friendly_id: FilterExpression, nodelist: NodeList) -> None:
        self.friendly_id = friendly_id
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        request = context.get("request")
        content: Any = None
        if isinstance(request, HttpRequest):
            content = site.execute(request, str(self.friendly_id.resolve(context))).content
        if isinstance(content, str):
            # An HTML variant: its author is trusted with HTML, its values were escaped.
            return mark_safe(content)
        with context.push(experience=content):
            return self.nodelist.render(context)


@register.tag("experience")
def experience(parser: Parser, token: Token) -> ExperienceNode:
    """
    `{% experience "hero_banner" %}default content{% endexperience %}`.

    An HTML variant takes the place of the default content. A JSON variant is
    `experience` inside it, so that the page's own markup can show it:
    `{{ experience.title|default:"Welcome" }}`. With nothing to show, nothing
    changes. Needs the `request` context processor.
    """
    parts = token.split_contents()
    if len(parts) != 2:
        raise TemplateSyntaxError('experience takes the friendly ID: {% experience "hero" %}.')
    nodelist = parser.parse(("endexperience",))
    parser.delete_first_token()
    return ExperienceNode(parser.compile_filter(parts[1]), nodelist)
