"""The demo application's page for browsers: who answers, in its version's colour, and what to ask."""

# Okabe and Ito's colours, which can be told apart by (nearly) everyone; the word stands beside them.
COLOURS = {"blue": "#0072b2", "green": "#009e73", "orange": "#e69f00", "pink": "#cc79a7", "red": "#d55e00"}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{pod}: version {version}, {colour}</title>
<style>
body {{ font: 1.1rem/1.6 system-ui, sans-serif; margin: 2rem; padding-left: 1.5rem;
 border-left: 1rem solid {hex}; background: #fff; color: #222; max-width: 46rem }}
h1 {{ margin: 0 }} form {{ display: inline }} button {{ font: inherit; margin: .2rem }}
dt {{ float: left; width: 8rem; color: #555 }} dd {{ margin-left: 8rem }}
</style></head>
<body>
<h1>{pod}</h1>
<p>version {version}, {colour}</p>
<dl><dt>address</dt><dd>{address}</dd><dt>node</dt><dd>{node}</dd><dt>answered</dt><dd>{served} requests</dd>
<dt>up for</dt><dd>{uptime} s</dd><dt>probes</dt><dd>ready: {ready}, alive: {live}</dd></dl>
<p>{buttons}</p>
<p>Look: {links}</p>
</body></html>
"""
BUTTONS = (
    ("/ready/fail", "fail readiness"),
    ("/ready/ok", "be ready"),
    ("/live/fail", "fail liveness"),
    ("/live/ok", "be alive"),
    ("/counter", "count"),
    ("/cpu?seconds=10", "burn a core for 10 s"),
    ("/memory?mb=50", "take 50 MB"),
    ("/hang", "hang"),
    ("/crash", "crash"),
)
LINKS = ("/env", "/headers", "/counter", "/files?path=/", "/healthz/ready", "/healthz/live")
ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"))


def escaped(value):
    """A value as text of a page."""
    text = str(value)
    for sign, entity in ENTITIES:
        text = text.replace(sign, entity)
    return text


def page(facts, ready, live):
    """The page of one copy, from its facts."""
    buttons = "".join(
        f'<form method="post" action="{path}"><button>{word}</button></form>' for path, word in BUTTONS
    )
    links = " ".join(f'<a href="{path}">{path}</a>' for path in LINKS)
    said = {name: escaped(value) for name, value in facts.items()}
    yes = {True: "yes", False: "no"}
    return PAGE.format(
        hex=COLOURS.get(facts["colour"], "#555"),
        ready=yes[ready],
        live=yes[live],
        buttons=buttons,
        links=links,
        **said,
    )
