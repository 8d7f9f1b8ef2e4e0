"""A small Hugging Face Hub in memory: enough of its HTTP API that the unmodified clients (huggingface_hub, datasets,
diffusers) push to it and load from it through HF_ENDPOINT, on one machine without a network.

    python tests/hub/hub_server.py --token hf_alice=alice:write --token hf_bob=bob:read

Real: repositories of models and datasets, commits, branches and tags, LFS uploads (hash-checked), signed downloads from a
second host name, byte ranges, private repositories, read and write tokens, a check of the README's metadata.
Missing: Xet (clients need HF_HUB_DISABLE_XET=1), Spaces, pull requests, paging, the dataset viewer.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import fnmatch
import hashlib
import hmac
import json
import re
import secrets
import socket
import urllib.parse
from dataclasses import dataclass, field
from functools import cached_property

import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

# What the Hub's own .gitattributes sends to LFS, as far as the tests push it.
LFS_PATTERNS = ("*.bin", "*.parquet", "*.png", "*.pt", "*.safetensors", "*.zip", "*tfevents*")
LICENSES = ("apache-2.0", "cc-by-sa-3.0", "mit", "other")
REPO_NAME = re.compile(r"(?!.*--)(?!.*\.\.)(?!.*\.git$)[A-Za-z0-9_][\w.-]{0,94}\w|\w")
SECRET = secrets.token_bytes(32)


class HubError(Exception):
    """An error answer in the Hub's form: X-Error-Code and X-Error-Message choose the client's exception."""

    def __init__(self, status: int, message: str, code: str | None = None, **body):
        super().__init__(message)
        self.status, self.message, self.code, self.body = status, message, code, body


@dataclass(frozen=True)
class File:
    """One version of one file."""

    data: bytes
    lfs: bool

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @cached_property
    def oid(self) -> str:
        """The git blob id, which clients compute too, to skip files that are there already."""
        blob = self.pointer if self.lfs else self.data
        return hashlib.sha1(f"blob {len(blob)}\0".encode() + blob).hexdigest()

    def entry(self, path: str) -> dict:
        """This file in a listing."""
        row = {"type": "file", "oid": self.oid, "size": len(self.data), "path": path}
        if self.lfs:
            row["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        return row


@dataclass(frozen=True)
class Commit:
    """All files at one point of a repository's history."""

    files: dict[str, File]
    title: str
    parent: str | None
    date: str = field(default_factory=lambda: datetime.datetime.now(datetime.timezone.utc).isoformat()[:23] + "Z")

    @cached_property
    def oid(self) -> str:
        table = json.dumps([self.title, self.parent, self.date, sorted((p, f.oid) for p, f in self.files.items())])
        return hashlib.sha1(table.encode()).hexdigest()


class Repo:
    """A repository: its commits, the refs that name them, and the LFS objects that it was given."""

    def __init__(self, kind: str, repo_id: str, private: bool):
        self.kind, self.id, self.private = kind, repo_id, private
        self.commits: dict[str, Commit] = {}
        self.refs: dict[str, str] = {}
        self.lfs: dict[str, bytes] = {}
        attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS)
        self.add(Commit({".gitattributes": File(attributes.encode(), lfs=False)}, "initial commit", None), "main")

    def add(self, commit: Commit, branch: str) -> None:
        self.commits[commit.oid] = commit
        self.refs[f"refs/heads/{branch}"] = commit.oid

    def at(self, revision: str) -> Commit:
        """The commit that a branch, a tag or a commit id names."""
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if name in self.refs:
                return self.commits[self.refs[name]]
        if revision in self.commits:
            return self.commits[revision]
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def info(self, revision: str) -> dict:
        """What the clients read as ModelInfo or DatasetInfo."""
        commit = self.at(revision)
        readme = commit.files.get("README.md")
        card = read_metadata(readme.data.decode()) if readme else {}
        return {
            "_id": hashlib.sha1(f"{self.kind}/{self.id}".encode()).hexdigest()[:24],
            "id": self.id,
            "modelId": self.id,
            "author": self.id.split("/")[0],
            "sha": commit.oid,
            "lastModified": commit.date,
            "createdAt": commit.date,
            "private": self.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": list(card.get("tags") or []),
            "library_name": card.get("library_name"),
            "pipeline_tag": card.get("pipeline_tag"),
            "cardData": card,
            "siblings": [{"rfilename": path} for path in commit.files],
        }


class Hub:
    """The state of the server."""

    def __init__(self, tokens: dict[str, dict]):
        self.tokens = tokens
        self.repos: dict[tuple[str, str], Repo] = {}


def read_metadata(text: str) -> dict:
    """The YAML block at the head of a card; raises HubError if it is none."""
    match = re.match(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", text, re.DOTALL)
    try:
        data = yaml.safe_load(match[1]) if match else {}
    except yaml.YAMLError as error:
        raise HubError(400, f"Invalid metadata in README.md: {error}") from error
    if not isinstance(data, dict):
        raise HubError(400, "Invalid metadata in README.md: it must be a mapping")
    if data.get("license", "other") not in LICENSES:
        raise HubError(400, f'Invalid metadata in README.md: "license" must be one of {", ".join(LICENSES)}')
    return data


def user_of(request: Request) -> dict | None:
    """Whose token the request carries; None without one."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return None
    if value not in request.app.state.hub.tokens:
        raise HubError(401, "Invalid credentials in Authorization header")
    return request.app.state.hub.tokens[value]


def require_user(request: Request) -> dict:
    user = user_of(request)
    if user is None:
        raise HubError(401, "Invalid username or password.")
    return user


def repo_of(request: Request, write: bool = False) -> Repo:
    """The repository that the path names, if the user may read (or write) it."""
    params, user = request.path_params, user_of(request)
    kind = params.get("kind", "datasets" if request.url.path.startswith("/datasets/") else "models")
    repo = request.app.state.hub.repos.get((kind, f"{params['ns']}/{params['name']}"))
    owned = user is not None and user["name"] == params["ns"]
    if repo is None or (repo.private and not owned):
        # To a stranger the Hub does not say whether such a repository exists.
        raise HubError(404 if user else 401, "Repository not found", "RepoNotFound")
    if write and not (owned and user["role"] == "write"):
        raise HubError(403, "Forbidden: you need a write token of the owner.")
    return repo


def signed(base: str, path: str) -> str:
    """A link that works without a token, as the Hub's storage hosts give out."""
    return f"{base}{path}?sig={hmac.new(SECRET, path.encode(), 'sha256').hexdigest()}"


def check_signed(request: Request) -> None:
    expected = urllib.parse.urlsplit(signed("", request.url.path)).query
    if request.url.query != expected:
        raise HubError(403, "AccessDenied: bad signature")


def storage_host(request: Request) -> str:
    """Another name of this machine, so that clients treat storage as the foreign host that it is."""
    return f"http://localhost:{request.url.port}"


def send_bytes(request: Request, data: bytes, headers: dict[str, str]) -> Response:
    """The data, or the one byte range asked for."""
    headers = {**headers, "Accept-Ranges": "bytes"}
    start, end, status = 0, len(data), 200
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if asked:
        start, end, status = int(asked[1]), min(int(asked[2]) + 1, end) if asked[2] else end, 206
        if start >= end:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
    return Response(data[start:end], status, headers, media_type="application/octet-stream")


async def whoami(request: Request) -> Response:
    user = require_user(request)
    token = {"displayName": "local", "role": user["role"]}
    account = {"type": "user", "id": user["name"], "name": user["name"], "fullname": user["name"], "orgs": []}
    return JSONResponse({**account, "auth": {"type": "access_token", "accessToken": token}})


async def validate_yaml(request: Request) -> Response:
    body = await request.json()
    try:
        read_metadata(body.get("content", ""))
    except HubError as error:
        return JSONResponse({"errors": [{"message": error.message}], "warnings": []}, 400)
    return JSONResponse({"errors": [], "warnings": []})


async def create_repo(request: Request) -> Response:
    user, body, hub = require_user(request), await request.json(), request.app.state.hub
    kind, name, owner = (body.get("type") or "model") + "s", body["name"], body.get("organization") or user["name"]
    if kind not in ("models", "datasets") or not REPO_NAME.fullmatch(name):
        raise HubError(400, f"Invalid repo: {kind} {name}")
    if user["role"] != "write" or owner != user["name"]:
        raise HubError(403, f"You don't have the rights to create a repo under the namespace {owner!r}")
    repo_id = f"{owner}/{name}"
    url = f"{str(request.base_url).rstrip('/')}/{'' if kind == 'models' else f'{kind}/'}{repo_id}"
    if (kind, repo_id) in hub.repos:
        raise HubError(409, "You already created this repo", url=url, name=repo_id)
    private = body.get("visibility") == "private" or bool(body.get("private"))
    hub.repos[kind, repo_id] = Repo(kind, repo_id, private)
    return JSONResponse({"url": url, "name": repo_id, "id": repo_id, "private": private})


async def repo_info(request: Request) -> Response:
    return JSONResponse(repo_of(request).info(request.path_params.get("rev", "main")))


def folders_of(files: dict[str, File]) -> dict[str, str]:
    """Every folder with an id of its contents."""
    folders: dict[str, list] = {}
    for path, file in sorted(files.items()):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folders.setdefault("/".join(parts[:depth]), []).append((path, file.oid))
    return {path: hashlib.sha1(json.dumps(rows).encode()).hexdigest() for path, rows in folders.items()}


async def tree(request: Request) -> Response:
    files, path = repo_of(request).at(request.path_params["rev"]).files, request.path_params.get("path", "").strip("/")
    folders = folders_of(files)
    if path and path not in folders:
        raise HubError(404, f"{path} does not exist", "EntryNotFound")
    recursive = request.query_params.get("recursive", "").lower() in ("1", "true")
    head = f"{path}/" if path else ""

    def listed(entry: str) -> bool:
        return entry.startswith(head) and (recursive or "/" not in entry[len(head) :])

    rows = [{"type": "directory", "oid": oid, "size": 0, "path": p} for p, oid in folders.items() if listed(p)]
    return JSONResponse(rows + [file.entry(p) for p, file in sorted(files.items()) if listed(p)])


async def paths_info(request: Request) -> Response:
    files = repo_of(request).at(request.path_params["rev"]).files
    raw = (await request.body()).decode()
    is_json = "json" in request.headers.get("content-type", "")
    paths = json.loads(raw)["paths"] if is_json else urllib.parse.parse_qs(raw).get("paths", [])
    folders = folders_of(files)
    found = [files[p].entry(p) for p in paths if p in files]
    return JSONResponse(
        found + [{"type": "directory", "oid": folders[p], "size": 0, "path": p} for p in paths if p in folders]
    )


async def tag(request: Request) -> Response:
    repo, body = repo_of(request, write=True), await request.json()
    repo.refs[f"refs/tags/{body['tag']}"] = repo.at(request.path_params["rev"]).oid
    return JSONResponse({"success": True})


async def preupload(request: Request) -> Response:
    """Per file: plain git blob or LFS."""
    repo_of(request, write=True)
    rows = []
    for item in (await request.json())["files"]:
        name = item["path"].rsplit("/", 1)[-1]
        lfs = any(fnmatch.fnmatch(name, pattern) for pattern in LFS_PATTERNS)
        binary = b"\0" in base64.b64decode(item.get("sample") or "")
        rows.append({"path": item["path"], "uploadMode": "lfs" if lfs or binary else "regular", "shouldIgnore": False})
    return JSONResponse({"files": rows})


async def lfs_batch(request: Request) -> Response:
    repo, body = repo_of(request, write=True), await request.json()
    rows = []
    for item in body["objects"]:
        row = {"oid": item["oid"], "size": item["size"], "authenticated": True}
        if item["oid"] not in repo.lfs:
            path = f"/_lfs/{repo.kind}/{repo.id}/{item['oid']}"
            row["actions"] = {"upload": {"href": signed(storage_host(request), path)}}
        rows.append(row)
    return JSONResponse({"transfer": "basic", "objects": rows, "hash_algo": "sha256"})


async def lfs_put(request: Request) -> Response:
    check_signed(request)
    params, data = request.path_params, await request.body()
    if hashlib.sha256(data).hexdigest() != params["sha"]:
        raise HubError(400, "Content does not match its oid")
    request.app.state.hub.repos[params["kind"], f"{params['ns']}/{params['name']}"].lfs[params["sha"]] = data
    return Response()


async def commit(request: Request) -> Response:
    repo, branch = repo_of(request, write=True), request.path_params["rev"]
    if f"refs/heads/{branch}" not in repo.refs:
        raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
    parent, title = repo.at(branch), None
    files = dict(parent.files)
    for line in (await request.body()).splitlines():
        operation = json.loads(line)
        key, value = operation["key"], operation["value"]
        path = value.get("path", "").strip("/")
        if key == "header":
            title = value["summary"]
        elif key == "file":
            files[path] = File(base64.b64decode(value["content"]), lfs=False)
            if path == "README.md":
                read_metadata(files[path].data.decode())
        elif key == "lfsFile":
            if value["oid"] not in repo.lfs:
                raise HubError(400, f"LFS pointer pointed to a file that does not exist: {path}")
            files[path] = File(repo.lfs[value["oid"]], lfs=True)
        elif key == "deletedFile":
            files.pop(path)
        else:
            raise HubError(400, f"Unknown operation in commit: {key}")
    new = Commit(files, title, parent.oid)
    repo.add(new, branch)
    url = f"{str(request.base_url).rstrip('/')}/{repo.id}/commit/{new.oid}"
    return JSONResponse({"success": True, "commitUrl": url, "commitOid": new.oid, "hookOutput": ""})


async def resolve(request: Request) -> Response:
    """As the Hub does: plain files redirect on this host, LFS files to a signed link on another."""
    repo = repo_of(request)
    at, path = repo.at(request.path_params["rev"]), request.path_params["path"]
    if path not in at.files:
        raise HubError(404, "Entry not found", "EntryNotFound", commit=at.oid)
    file = at.files[path]
    etag = file.sha256 if file.lfs else file.oid
    headers = {"X-Repo-Commit": at.oid, "X-Linked-Size": str(len(file.data)), "X-Linked-Etag": f'"{etag}"'}
    if file.lfs:
        headers["Location"] = signed(storage_host(request), f"/_cdn/{repo.kind}/{repo.id}/{file.sha256}")
        return PlainTextResponse("Found", 302, headers)
    headers["Location"] = f"/api/resolve-cache/{repo.kind}/{repo.id}/{at.oid}/{urllib.parse.quote(path)}"
    return PlainTextResponse("Temporary Redirect", 307, headers)


async def resolve_cache(request: Request) -> Response:
    at = repo_of(request).at(request.path_params["rev"])
    file = at.files[request.path_params["path"]]
    return send_bytes(request, file.data, {"X-Repo-Commit": at.oid, "ETag": f'"{file.oid}"'})


async def cdn(request: Request) -> Response:
    check_signed(request)
    params = request.path_params
    data = request.app.state.hub.repos[params["kind"], f"{params['ns']}/{params['name']}"].lfs[params["sha"]]
    return send_bytes(request, data, {"ETag": f'"{params["sha"]}"'})


async def answer_error(request: Request, error: HubError) -> Response:
    headers = {"X-Error-Message": error.message.encode("ascii", "replace").decode().replace("\n", " ")}
    if error.code:
        headers["X-Error-Code"] = error.code
    if "commit" in error.body:
        headers["X-Repo-Commit"] = error.body["commit"]
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Authentication required", charset="UTF-8"'
    return JSONResponse({"error": error.message, **error.body}, error.status, headers)


def make_app(tokens: dict[str, dict]) -> Starlette:
    """The server; `tokens` maps a token to {"name": ..., "role": "read" or "write"}."""
    repo = "/api/{kind}/{ns}/{name}"
    routes = [
        Route("/api/whoami-v2", whoami),
        Route("/api/validate-yaml", validate_yaml, methods=["POST"]),
        Route("/api/repos/create", create_repo, methods=["POST"]),
        Route("/api/resolve-cache/{kind}/{ns}/{name}/{rev}/{path:path}", resolve_cache),
        Route(repo, repo_info),
        Route(f"{repo}/revision/{{rev}}", repo_info),
        Route(f"{repo}/tree/{{rev}}", tree),
        Route(f"{repo}/tree/{{rev}}/{{path:path}}", tree),
        Route(f"{repo}/paths-info/{{rev}}", paths_info, methods=["POST"]),
        Route(f"{repo}/tag/{{rev}}", tag, methods=["POST"]),
        Route(f"{repo}/preupload/{{rev}}", preupload, methods=["POST"]),
        Route(f"{repo}/commit/{{rev}}", commit, methods=["POST"]),
        Route("/_lfs/{kind}/{ns}/{name}/{sha}", lfs_put, methods=["PUT"]),
        Route("/_cdn/{kind}/{ns}/{name}/{sha}", cdn),
    ]
    for prefix in ("", "/datasets"):
        routes += [
            Route(f"{prefix}/{{ns}}/{{name}}.git/info/lfs/objects/batch", lfs_batch, methods=["POST"]),
            Route(f"{prefix}/{{ns}}/{{name}}/resolve/{{rev}}/{{path:path}}", resolve),
        ]
    app = Starlette(routes=routes, exception_handlers={HubError: answer_error})
    app.state.hub = Hub(tokens)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; the endpoint is printed")
    parser.add_argument("--token", action="append", default=[], metavar="TOKEN=USER:read|write")
    args = parser.parse_args()
    tokens = {}
    for entry in args.token:
        token, _, who = entry.partition("=")
        name, _, role = who.partition(":")
        tokens[token] = {"name": name, "role": role}
    listener = socket.create_server(("127.0.0.1", args.port))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(make_app(tokens), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
