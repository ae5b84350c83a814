"""The pages of a server: one to try a text, and one with all operations. They load nothing from other sites."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from html import escape
from typing import Any

from goemo_cli.services.report.web_pages import policy, web_file

_file = partial(web_file, "goemo_cli.services.serving")
_SCRIPT, _STYLE = _file("try.js"), _file("serve.css")
POLICY = policy(
    scripts=(_SCRIPT,),
    styles=(_STYLE,),
    more="; connect-src 'self'; img-src data:; frame-ancestors 'none'",
)
"""The Content-Security-Policy of both pages."""


def front_page() -> str:
    """The page to try a text."""
    return _file("try.html").replace("SCRIPT", _SCRIPT).replace("STYLE", _STYLE)


def reference_page(document: Mapping[str, Any]) -> str:
    """The operations of an OpenAPI document."""
    operations = "\n".join(
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    title = f"{document['info']['title']} {document['info']['version']}: operations"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p>{escape(document["info"]["description"])}</p>
<p><a href="./">Try a text</a> · <a href="openapi.json">openapi.json</a>, for programs</p>
{operations}
<h2>Schemas</h2>
<pre>{escape(json.dumps(document["components"]["schemas"], indent=2))}</pre>
</main>
</body>
</html>
"""


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{escape(status)}</th><td>{escape(text)}</td></tr>'
        for status, text in _answers(operation)
    )
    return f"""<h2><code>{escape(method.upper())} {escape(path)}</code></h2>
<p>{escape(operation.get("description", ""))}</p>
{_body(operation)}
<table>
<caption>Answers</caption>
<thead><tr><th scope="col">Status</th><th scope="col">Meaning</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _body(operation: Mapping[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    return "".join(
        f"<p>Body: <code>{escape(kind)}</code>, schema <code>{_name(media['schema'])}</code></p>"
        for kind, media in content.items()
    )


def _answers(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for status, answer in sorted(operation["responses"].items()):
        schemas = [_name(media.get("schema", {})) for media in answer.get("content", {}).values()]
        named = "".join(f" ({name})" for name in schemas if name)
        yield status, answer.get("description", "") + named


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]
