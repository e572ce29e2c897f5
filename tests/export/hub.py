"""A Hub that takes uploads and lives in this process."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote


@dataclass
class FakeHub:
    """Answers what an upload asks of the Hub.

    Attributes:
        repositories: whether each is private, and its files.
        fail: "METHOD beginning of a path" -> a status, or what is raised.
        asked, bodies: what was asked, and the commits that came.
    """

    http: Any = None
    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    fail: dict[str, int | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def answer(self, request: Any) -> Any:
        """The seam: a request of the HTTP client in, a response out."""
        path, what = unquote(request.url.path), request.method
        self.asked.append(f"{what} {path}")
        for beginning, failure in self.fail.items():
            if f"{what} {path}".startswith(beginning):
                if isinstance(failure, Exception):
                    raise failure
                return self.http.Response(failure, json={"error": f"no, {request.headers.get('authorization')}"})
        if path in ("/", "/api/validate-yaml"):
            return self.http.Response(200, json={"errors": [], "warnings": []})
        if request.headers.get("authorization") != "Bearer hf_secret":
            return self.http.Response(401, json={"error": "Invalid username or password."})
        if path == "/api/whoami-v2":
            return self.http.Response(200, json={"type": "user", "name": "someone", "auth": {}})
        if path == "/api/repos/create":
            return self._create(json.loads(request.content))
        if path == "/api/repos/delete":
            asked = json.loads(request.content)
            del self.repositories[f"{asked.get('organization') or 'someone'}/{asked['name']}"]
            return self.http.Response(200)
        repo_id = "/".join(path.split("/")[3:5])
        if repo_id not in self.repositories:
            return self.http.Response(404, headers={"X-Error-Code": "RepoNotFound"})
        return self._repository(request, path, repo_id)

    def _create(self, asked: dict[str, Any]) -> Any:
        repo_id = f"{asked.get('organization') or 'someone'}/{asked['name']}"
        private = asked.get("private", asked.get("visibility") == "private")
        self.repositories[repo_id] = {"private": bool(private), "files": {}}
        return self.http.Response(200, json={"url": f"https://huggingface.co/{repo_id}", "id": repo_id})

    def _repository(self, request: Any, path: str, repo_id: str) -> Any:
        known = self.repositories[repo_id]
        if "/preupload/" in path:
            files = [
                {**f, "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(request.content)["files"]
            ]
            return self.http.Response(200, json={"files": files})
        if "/commit/" in path:
            self.bodies.append(request.content)
            for line in map(json.loads, request.content.splitlines()):
                if line["key"] == "file":
                    known["files"][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self.http.Response(
                200, json={"commitUrl": f"https://huggingface.co/{repo_id}/commit/a", "commitOid": "a"}
            )
        siblings = [{"rfilename": name} for name in known["files"]]
        return self.http.Response(
            200, json={"id": repo_id, "sha": "a", "private": known["private"], "siblings": siblings}
        )
