"""The pages of links in messages: one sentence, and at most one button. No scripts, nothing from elsewhere."""

import base64
import hashlib
from html import escape

from fastapi.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --soft: #5f6c7b; --paper: #f5f7f9; --card: #fff; --act: #2f5d83 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e9ee; --soft: #9aa7b4; --paper: #14191e; --card: #1d242b; --act: #5b8fbb }
}
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
  font: 17px/1.5 system-ui, sans-serif }
main { box-sizing: border-box; width: min(30rem, 100%); padding: 2.5rem; background: var(--card); border-radius: 12px }
h1 { margin: 0 0 .5rem; font-size: 1.25rem; font-weight: 600; overflow-wrap: anywhere }
p { margin: 0; color: var(--soft); overflow-wrap: anywhere }
button { margin-top: 1.75rem; padding: .7rem 1.6rem; border: 0; border-radius: 8px; background: var(--act); color: #fff;
  font: inherit; font-weight: 600; cursor: pointer }
button:focus-visible { outline: 3px solid var(--soft); outline-offset: 2px }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
}


def page(title: str, words: str, *, button: str | None = None, status: int = 200) -> HTMLResponse:
    """A page. What users wrote may be in its words: it is shown, never obeyed."""
    form = f'<form method="post"><button>{escape(button)}</button></form>' if button else ""
    content = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Faultline</title>'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(words)}</p>{form}</main></body></html>"
    )
    return HTMLResponse(content, status, headers=_HEADERS)
