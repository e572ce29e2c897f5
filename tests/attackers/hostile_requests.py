"""Requests that somebody means harm by: a table of (what is tried, method, path, what httpx is told, answers allowed).

``INNER`` stands for the address of a server that only this machine reaches, ``RUN`` for a finished run of somebody else
whose id has leaked.
"""

from __future__ import annotations

import json
from typing import Any

Case = tuple[str, str, str, dict[str, Any], tuple[int, ...]]

INNER, RUN = "INNER", "RUN"

UP = "..%2f..%2f..%2f..%2fetc%2fpasswd"


def get(label: str, path: str, *codes: int, **more: Any) -> Case:
    return label, "GET", path, more, codes or (404,)


def post(label: str, path: str, body: Any, *codes: int, **more: Any) -> Case:
    given = {"json": body} if not isinstance(body, (str, bytes)) else {"content": body, **_as_json(more)}
    return label, "POST", path, {**given, **more}, codes or (422,)


def _as_json(more: dict[str, Any]) -> dict[str, Any]:
    return {} if "headers" in more else {"headers": {"Content-Type": "application/json"}}


def foreign(label: str, path: str, body: Any = None, **headers: str) -> Case:
    return post(f"foreign page: {label}", path, body or {}, 403, headers=headers)


def file(path: Any) -> dict[str, Any]:
    """A file as Gradio's page names one that was uploaded."""
    return {"path": path, "url": path, "orig_name": "x.zip", "meta": {"_type": "gradio.FileData"}}


HISTORY, LEARN, JOIN = "/gradio_api/history", "/gradio_api/learn", "/gradio_api/queue/join"
EVIL = "https://evil.example"

PATHS = [
    get("events: up by encoded slashes", f"/gradio_api/runs/{UP}/events"),
    get("events: a zero byte", "/gradio_api/runs/a%00b/events"),
    get("events: a recorded run's name that climbs", "/gradio_api/runs/example-..%2f..%2fapp/events"),
    get("events: a sweep's name that climbs", "/gradio_api/runs/sweep-..%2f..%2fapp/events"),
    get("events: half a character", "/gradio_api/runs/%ff%fe/events"),
    get("events: SQL", "/gradio_api/runs/'%20OR%201=1--/events"),
    get("events: LIKE", "/gradio_api/runs/%25/events"),
    get("events: an id of 10,000 letters", f"/gradio_api/runs/{'a' * 10_000}/events"),
    get("bundle: up", f"/gradio_api/runs/{UP}/bundle"),
    get("repeat: up", f"/gradio_api/runs/{UP}/repeat"),
    get("export: up", f"/gradio_api/runs/{UP}/export"),
    get("export: a form that climbs", f"/gradio_api/runs/{RUN}/export/{UP}", 404, 422),
    get("export: the shelf's own list", f"/gradio_api/runs/{RUN}/export/folder.json", 404, 422),
    get("matrix: up", f"/gradio_api/runs/{UP}/matrix"),
    get("matrix: a place that climbs", f"/gradio_api/runs/{RUN}/matrix/{UP}", 404, 422),
    get("matrix: a window of 10^9 rows",
        f"/gradio_api/runs/{RUN}/matrix/0.x/cells?top=0&left=0&rows=999999999&columns=999999999", 404, 422),
    get("matrix: a window of negative rows", f"/gradio_api/runs/{RUN}/matrix/0.x/cells?top=0&left=0&rows=-1&columns=1",
        404, 422),
    get("Gradio: /etc/passwd", "/gradio_api/file=/etc/passwd", 403),
    get("Gradio: the app's source", "/gradio_api/file=app.py", 403),
    get("Gradio: up from a file that is served", "/gradio_api/file=assets/live/../../app.py", 403, 404),
    get("Gradio: the database", "/gradio_api/file=DATA/neuroal.db", 403),
    get("Gradio: a file of another server", f"/gradio_api/file={INNER}", 403),
    get("Gradio: another server by proxy", f"/gradio_api/proxy={INNER}", 400),
    get("Gradio: up from static", "/static/..%2f..%2f..%2fapp.py", 403, 404),
    get("Gradio: up from assets", "/assets/..%2f..%2f..%2fapp.py", 403, 404),
    get("Gradio: who is there", "/monitoring", 403),
    get("Gradio: who was there", "/monitoring/summary", 403),
    get("Gradio: the editor by language", "/gradio_api/vibe-code", 403),
]  # fmt: skip

SITES = [
    foreign("lists the runs", HISTORY, {"do": "list"}, Origin=EVIL),
    foreign("from nowhere", HISTORY, {"do": "list"}, Origin="null"),
    foreign("of a neighbour on this machine", HISTORY, {"do": "list"}, **{"Sec-Fetch-Site": "same-site"}),
    foreign("calls a function of a component as text", "/gradio_api/component_server", "{}",
            **{"Origin": EVIL, "Content-Type": "text/plain"}),
    foreign("joins the queue", JOIN, {"data": [], "fn_index": 0}, **{"Sec-Fetch-Site": "cross-site"}),
    foreign("starts a run", "/gradio_api/call/start_run", {"data": [{}]}, Origin=EVIL),
    foreign("uploads", "/gradio_api/upload", b"x", **{"Origin": EVIL, "Content-Type": "multipart/form-data"}),
    foreign("logs in", "/login", b"username=a&password=b",
            **{"Origin": EVIL, "Content-Type": "application/x-www-form-urlencoded"}),
    foreign("takes a model away", f"/gradio_api/runs/{RUN}/export", {"form": "hub", "repo": "evil/x"}, Origin=EVIL),
    ("foreign page: asks whether it may", "OPTIONS", HISTORY,
     {"headers": {"Origin": EVIL, "Access-Control-Request-Method": "POST"}}, (403,)),
    get("a name that suddenly leads here (DNS rebinding)", "/config", 421, headers={"Host": "evil.example"}),
]  # fmt: skip

SIZES = [
    post("14 MB of JSON", JOIN, b'{"data":["' + b"a" * 14_000_000 + b'"]}', 413),
    post("65 kB for the list", HISTORY, b'{"do":"' + b"a" * 65_536 + b'"}', 400),
    post("lists in lists in lists", HISTORY, "[" * 60_000, 400),
    get("150 headers", "/config", 431, headers={f"x-{n}": "1" for n in range(150)}),
    get("an address of 20,000 letters", "/config?" + "a" * 20_000, 431),
]

QUESTIONS = [
    post("list: not JSON", HISTORY, "nul", 400),
    post("list: JSON that is none", HISTORY, "NaN", 400),
    post("list: SQL as the order", HISTORY, {"do": "list", "order": "created; DROP TABLE runs"}),
    post("list: SQL as the status", HISTORY, {"do": "list", "status": "' OR 1=1 --"}),
    post("list: everybody's", HISTORY, {"do": "list", "whose": "all"}),
    post("list: an endless page", HISTORY, '{"do":"list","page":1e400}'),
    post("list: 600 own ids", HISTORY, {"do": "list", "own": [f"x{n}" for n in range(600)]}, 200),
    post("list: ids that are lists", HISTORY, {"do": "list", "own": [[]]}),
    post("list: ids that are objects", HISTORY, {"do": "edit", "id": {"$ne": 1}, "name": "x"}),
    post("list: a method of the object", HISTORY, {"do": "__init__"}),
    post("list: an attribute of the object", HISTORY, {"do": "store"}),
    post("edit: somebody else's run", HISTORY, {"do": "edit", "id": RUN, "name": "mine now", "browser": "b" * 32}),
    post("delete: somebody else's run", HISTORY, {"do": "delete", "id": RUN, "browser": "b" * 32}),
    post("restore: somebody else's run", HISTORY, {"do": "restore", "id": RUN, "browser": ""}),
    post("learn: a scene that climbs", LEARN, {"scene": "../../app"}),
    post("learn: a method", LEARN, {"scene": "__class__"}),
    post("export: to make a form that climbs", f"/gradio_api/runs/{RUN}/export", {"form": "../../x"}),
    post("export: a repository that climbs", f"/gradio_api/runs/{RUN}/export",
         {"form": "hub", "repo": "../../etc", "token": "hf_x"}),
    post("export: a repository of another host", f"/gradio_api/runs/{RUN}/export",
         {"form": "hub", "repo": "https://evil.example/x", "token": "hf_x"}),
    post("export: a token that is a header", f"/gradio_api/runs/{RUN}/export",
         {"form": "hub", "repo": {"a": 1}, "token": "x\r\nHost: evil"}),
    post("bundle: a picture of another name", f"/gradio_api/runs/{RUN}/bundle",
         {"pictures": {"../../x": "data:image/png;base64,iVBORw0KGgo="}}, 400),
    post("bundle: an SVG", f"/gradio_api/runs/{RUN}/bundle",
         {"pictures": {"scores": "data:image/svg+xml;base64,PHN2Zz4="}}, 400),
    post("bundle: a page as a picture", f"/gradio_api/runs/{RUN}/bundle",
         {"pictures": {"scores": "data:image/png;base64,PGh0bWw+"}}, 400),
    post("Gradio: no such function", JOIN, {"data": [], "fn_index": 10**9, "session_hash": "x"}, 404, 422, 500),
    post("Gradio: no such component", "/gradio_api/component_server",
         {"data": "x", "component_id": 10**9, "fn_name": "__init__", "session_hash": "x"}, 404, 400, 500),
]  # fmt: skip

REQUESTS = [*PATHS, *SITES, *SIZES, *QUESTIONS]

# Files that were never uploaded, handed to whatever takes files: (what is tried, the file).
FILES: list[tuple[str, Any]] = [
    ("a file of the system", file("/etc/passwd")),
    ("the database", file("DATA/neuroal.db")),
    ("a way up", file("/tmp/gradio/../../etc/passwd")),
    ("another server", file(INNER)),
    ("the cloud's own settings", file("http://169.254.169.254/latest/meta-data/")),
    ("another scheme", file("file:///etc/passwd")),
    ("a bare path", "/etc/passwd"),
]

# Settings of a run: (what is tried, the settings, or JSON).
SPECS: list[tuple[str, Any]] = [
    ("a folder of the system", {"model": "/etc"}),
    ("a way up", {"model": "../../etc"}),
    ("somebody's home", {"model": "~root"}),
    ("a share", {"model": "\\\\host\\share"}),
    ("the cloud's own settings", {"model": "http://169.254.169.254/latest"}),
    ("a file's address", {"model": "file:///etc/passwd"}),
    ("an address of git", {"model": "git+https://evil.example/m"}),
    ("an encoded way up", {"model": "%2e%2e/etc"}),
    ("a line for the log", {"model": "tiny\nINFO components: all is well"}),
    ("a zero byte", {"model": "tiny\0"}),
    ("colours for a terminal", {"model": "\x1b[31mtiny"}),
    ("5,000 letters", {"model": "a" * 5000}),
    ("a revision that climbs", {"model": "tiny", "revision": "../../../../tmp/x"}),
    ("a revision that is a path", {"model": "SmolLM2-135M-Instruct", "revision": "/etc/passwd"}),
    ("10,000 exclusions", {"model": "tiny", "exclude": [f"*{n}" for n in range(10_000)]}),
    ("an exclusion to search for long", {"model": "tiny", "exclude": ["*a" * 5000]}),
    ("a pattern of 10^9", {"model": "tiny", "pattern": "1:999999999999"}),
    ("10^6 lambdas", {"model": "tiny", "lambdas": [0.1] * 10**6}),
    ("not a number", '{"model": "tiny", "sparsity": NaN}'),
    ("a number without end", '{"model": "tiny", "samples": ' + "9" * 10_000 + "}"),
    ("lists in lists", "[" * 100_000),
    ("settings of the object", {"__class__": "x"}),
    ("objects as texts", {"model": {"$ne": ""}}),
]


def filled(value: Any, **known: str) -> Any:
    """A case with the addresses and ids of this test in it."""
    text = json.dumps(value)
    for name, content in known.items():
        text = text.replace(name, content)
    return json.loads(text)
