"""A small Hugging Face Hub in memory: enough of its HTTP API that the unmodified clients (huggingface_hub, datasets,
diffusers) push to it and load from it through HF_ENDPOINT, on one machine without a network.

    python tests/hub/hub_server.py --token hf_alice=alice:write --token hf_bob=bob:read --org acme=alice:write,bob:read

Real: repositories of models, datasets and Spaces, commits with parents, branches and tags, LFS and Xet uploads
(hash-checked), signed downloads from a second host name, byte ranges, private repositories, organizations, tokens that
read, write or write in some namespaces only, a check of the README's metadata; faults and a log of requests (see faults.py).
Missing: pull requests, paging, the dataset viewer; nothing is built or run for a Space.
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
import xet_store
import yaml
from faults import Faults, Protocol
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

# What the Hub's own .gitattributes sends to LFS, as far as the tests push it.
LFS_PATTERNS = (
    "*.bin",
    "*.gz",
    "*.onnx",
    "*.parquet",
    "*.png",
    "*.pt",
    "*.safetensors",
    "*.wasm",
    "*.zip",
    "*tfevents*",
)
LICENSES = ("apache-2.0", "cc-by-sa-3.0", "mit", "other", "unknown")
KINDS = ("models", "datasets", "spaces")
SPACE_SDKS = ("docker", "gradio", "static", "streamlit")
SPACE_COLORS = ("blue", "gray", "green", "indigo", "pink", "purple", "red", "yellow")
# Roles of an organization's members that let them write into its repositories.
WRITERS = ("admin", "write")
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
        """This file in a listing of a tree."""
        row = {"type": "file", "oid": self.oid, "size": len(self.data), "path": path}
        if self.lfs:
            row["lfs"] = {"oid": self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        return row

    def sibling(self, path: str) -> dict:
        """This file in what is told of a repository."""
        row = {"rfilename": path, "size": len(self.data), "blobId": self.oid}
        if self.lfs:
            row["lfs"] = {"sha256": self.sha256, "size": len(self.data), "pointerSize": len(self.pointer)}
        return row


@dataclass(frozen=True)
class Commit:
    """All files at one point of a repository's history."""

    files: dict[str, File]
    title: str
    parent: str | None
    date: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat()[:23] + "Z")

    @cached_property
    def oid(self) -> str:
        table = json.dumps([self.title, self.parent, self.date, sorted((p, f.oid) for p, f in self.files.items())])
        return hashlib.sha1(table.encode()).hexdigest()


class Repo:
    """A repository: its commits, the refs that name them, and the LFS objects that it was given."""

    def __init__(self, kind: str, repo_id: str, private: bool, sdk: str | None = None):
        self.kind, self.id, self.private, self.sdk = kind, repo_id, private, sdk
        self.hardware = "cpu-basic"
        self.commits: dict[str, Commit] = {}
        self.refs: dict[str, str] = {}
        self.lfs: dict[str, bytes] = {}
        attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LFS_PATTERNS)
        files = {".gitattributes": File(attributes.encode(), lfs=False)}
        if kind == "spaces":
            card = f"---\ntitle: {repo_id.split('/')[1]}\nsdk: {sdk}\n---\n"
            files["README.md"] = File(card.encode(), lfs=False)
        self.add(Commit(files, "initial commit", None), "main")

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

    def history(self, revision: str) -> list[Commit]:
        """From the named commit back to the first."""
        commits = [self.at(revision)]
        while commits[-1].parent:
            commits.append(self.commits[commits[-1].parent])
        return commits

    def runtime(self) -> dict:
        """Of a Space, which never runs here."""
        card = self.info("main")["cardData"]
        stage = "STOPPED" if card.get("app_file", "app.py") in self.at("main").files else "NO_APP_FILE"
        return {"stage": stage, "hardware": {"current": None, "requested": self.hardware}, "storage": None}

    def info(self, revision: str, blobs: bool = False) -> dict:
        """What the clients read as ModelInfo, DatasetInfo or SpaceInfo."""
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
            "sdk": card.get("sdk"),
            "siblings": [file.sibling(p) if blobs else {"rfilename": p} for p, file in commit.files.items()],
        }


class Hub:
    """The state of the server."""

    def __init__(self, tokens: dict[str, dict]):
        self.tokens = tokens
        self.repos: dict[tuple[str, str], Repo] = {}
        self.xet = xet_store.XetStore()


def read_metadata(text: str, kind: str = "models") -> dict:
    """The YAML block at the head of a card; raises HubError if it is none, or not what that kind of repository takes."""
    match = re.match(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", text, re.DOTALL)
    try:
        data = yaml.safe_load(match[1]) if match else {}
    except yaml.YAMLError as error:
        raise HubError(400, f"Invalid metadata in README.md: {error}") from error
    if not isinstance(data, dict):
        raise HubError(400, "Invalid metadata in README.md: it must be a mapping")
    if data.get("license", "other") not in LICENSES:
        raise HubError(400, f'Invalid metadata in README.md: "license" must be one of {", ".join(LICENSES)}')
    if kind == "spaces":
        if data.get("sdk") not in SPACE_SDKS:
            raise HubError(400, f'Invalid metadata in README.md: "sdk" must be one of {", ".join(SPACE_SDKS)}')
        for key in ("colorFrom", "colorTo"):
            if data.get(key, "red") not in SPACE_COLORS:
                raise HubError(400, f'Invalid metadata in README.md: "{key}" must be one of {", ".join(SPACE_COLORS)}')
        if len(str(data.get("short_description", ""))) > 60:
            raise HubError(400, 'Invalid metadata in README.md: "short_description" takes 60 characters at most')
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


def may_write(user: dict, repo_id: str) -> bool:
    """Whether the token may write into the repository, or create it."""
    owner = repo_id.split("/")[0]
    if user["role"] == "fineGrained" and not {owner, repo_id} & set(user["scopes"]):
        return False
    return user["role"] != "read" and (owner == user["name"] or user["orgs"].get(owner) in WRITERS)


def repo_of(request: Request, write: bool = False) -> Repo:
    """The repository that the path names, if the user may read (or write) it."""
    params, user = request.path_params, user_of(request)
    first = request.url.path.split("/")[1]
    kind, repo_id = params.get("kind", first if first in KINDS else "models"), f"{params['ns']}/{params['name']}"
    repo = request.app.state.hub.repos.get((kind, repo_id))
    member = user is not None and params["ns"] in (user["name"], *user["orgs"])
    if repo is None or (repo.private and not member):
        # To a stranger the Hub does not say whether such a repository exists.
        raise HubError(404 if user else 401, "Repository not found", "RepoNotFound")
    if write and not (user and may_write(user, repo_id)):
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
    if user["role"] == "fineGrained":
        types = ["org" if name in user["orgs"] else "model" if "/" in name else "user" for name in user["scopes"]]
        token["fineGrained"] = {
            "canReadGatedRepos": False,
            "global": [],
            "scoped": [
                {"entity": {"type": kind, "name": name}, "permissions": ["repo.content.read", "repo.write"]}
                for kind, name in zip(types, user["scopes"], strict=True)
            ],
        }
    orgs = [{"type": "org", "id": org, "name": org, "roleInOrg": role} for org, role in user["orgs"].items()]
    account = {"type": "user", "id": user["name"], "name": user["name"], "fullname": user["name"], "orgs": orgs}
    return JSONResponse({**account, "auth": {"type": "access_token", "accessToken": token}})


async def validate_yaml(request: Request) -> Response:
    body = await request.json()
    try:
        read_metadata(body.get("content", ""), (body.get("repoType") or "model") + "s")
    except HubError as error:
        return JSONResponse({"errors": [{"message": error.message}], "warnings": []}, 400)
    return JSONResponse({"errors": [], "warnings": []})


async def create_repo(request: Request) -> Response:
    user, body, hub = require_user(request), await request.json(), request.app.state.hub
    kind, name, owner = (body.get("type") or "model") + "s", body["name"], body.get("organization") or user["name"]
    if kind not in KINDS or not REPO_NAME.fullmatch(name):
        raise HubError(400, f"Invalid repo: {kind} {name}")
    if kind == "spaces" and body.get("sdk") not in SPACE_SDKS:
        raise HubError(400, f'"sdk" must be one of {", ".join(SPACE_SDKS)}')
    repo_id = f"{owner}/{name}"
    if not may_write(user, repo_id):
        raise HubError(403, f"You don't have the rights to create a repo under the namespace {owner!r}")
    url = f"{str(request.base_url).rstrip('/')}/{'' if kind == 'models' else f'{kind}/'}{repo_id}"
    if (kind, repo_id) in hub.repos:
        raise HubError(409, "You already created this repo", url=url, name=repo_id)
    private = body.get("visibility") == "private" or bool(body.get("private"))
    hub.repos[kind, repo_id] = Repo(kind, repo_id, private, body.get("sdk"))
    hub.repos[kind, repo_id].hardware = body.get("hardware") or "cpu-basic"
    return JSONResponse({"url": url, "name": repo_id, "id": repo_id, "private": private})


async def list_models(request: Request) -> Response:
    """The models of one author, the private ones for who may read them."""
    author, hub, user = request.query_params.get("author"), request.app.state.hub, user_of(request)
    found = [r for (kind, _), r in hub.repos.items() if kind == "models" and r.id.split("/")[0] == author]
    member = user is not None and author in (user["name"], *user["orgs"])
    return JSONResponse([repo.info("main") for repo in found if member or not repo.private])


async def repo_info(request: Request) -> Response:
    blobs = request.query_params.get("blobs", "").lower() in ("1", "true")
    return JSONResponse(repo_of(request).info(request.path_params.get("rev", "main"), blobs))


async def commits(request: Request) -> Response:
    rows = []
    for commit in repo_of(request).history(request.path_params["rev"]):
        row = {"id": commit.oid, "title": commit.title, "message": "", "date": commit.date, "authors": []}
        rows.append(row)
    return JSONResponse(rows)


async def refs(request: Request) -> Response:
    repo = repo_of(request)

    def under(head: str) -> list[dict]:
        named = {ref: oid for ref, oid in repo.refs.items() if ref.startswith(head)}
        return [{"name": ref[len(head) :], "ref": ref, "targetCommit": oid} for ref, oid in named.items()]

    return JSONResponse({"branches": under("refs/heads/"), "tags": under("refs/tags/"), "converts": []})


async def branch(request: Request) -> Response:
    repo, body, name = repo_of(request, write=True), await request.body(), request.path_params["rev"]
    if f"refs/heads/{name}" in repo.refs:
        raise HubError(409, f"Reference already exists: {name}")
    start = json.loads(body or b"{}").get("startingPoint") or "main"
    repo.refs[f"refs/heads/{name}"] = repo.at(start).oid
    return JSONResponse({"success": True})


async def delete_repo(request: Request) -> Response:
    user, body, hub = require_user(request), await request.json(), request.app.state.hub
    kind, repo_id = (body.get("type") or "model") + "s", f"{body.get('organization') or user['name']}/{body['name']}"
    if not may_write(user, repo_id):
        raise HubError(403, "Forbidden: you need a write token of the owner.")
    if hub.repos.pop((kind, repo_id), None) is None:
        raise HubError(404, "Repository not found", "RepoNotFound")
    return JSONResponse({"success": True})


async def space_runtime(request: Request) -> Response:
    return JSONResponse(repo_of(request).runtime())


async def space_hardware(request: Request) -> Response:
    repo = repo_of(request, write=True)
    repo.hardware = (await request.json())["flavor"]
    return JSONResponse(repo.runtime())


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
    """Per file: plain git blob or LFS, and the id of what is there already."""
    files = repo_of(request, write=True).at(request.path_params["rev"]).files
    rows = []
    for item in (await request.json())["files"]:
        name = item["path"].rsplit("/", 1)[-1]
        lfs = any(fnmatch.fnmatch(name, pattern) for pattern in LFS_PATTERNS)
        binary = b"\0" in base64.b64decode(item.get("sample") or "")
        row = {"path": item["path"], "uploadMode": "lfs" if lfs or binary else "regular", "shouldIgnore": False}
        if old := files.get(item["path"]):
            row["oid"] = old.sha256 if old.lfs else old.oid
        rows.append(row)
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
    body = (await request.body()).splitlines()
    # Nothing is awaited from here on, so that two commits at once follow each other.
    parent, title = repo.at(branch), None
    files, xet = dict(parent.files), request.app.state.hub.xet
    for line in body:
        operation = json.loads(line)
        key, value = operation["key"], operation["value"]
        path = value.get("path", "").strip("/")
        if key == "header":
            title = value["summary"]
            if not parent.oid.startswith(value.get("parentCommit") or ""):
                raise HubError(412, "A commit has happened since. Please refresh and try again.")
        elif key == "file":
            files[path] = File(base64.b64decode(value["content"]), lfs=False)
            if path == "README.md":
                read_metadata(files[path].data.decode(), repo.kind)
        elif key == "lfsFile":
            if value["oid"] in xet.data:
                repo.lfs[value["oid"]] = xet.data[value["oid"]]
            if value["oid"] not in repo.lfs:
                raise HubError(400, f"LFS pointer pointed to a file that does not exist: {path}")
            files[path] = File(repo.lfs[value["oid"]], lfs=True)
        elif key == "deletedFile":
            files.pop(path)
        elif key == "deletedFolder":
            files = {name: file for name, file in files.items() if not name.startswith(f"{path}/")}
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
        if xet := request.app.state.hub.xet.hashes.get(file.sha256):
            base = str(request.base_url).rstrip("/")
            route = f"{base}/api/{repo.kind}/{repo.id}/xet-read-token/{at.oid}"
            headers |= {"X-Xet-Hash": xet, "X-Xet-Refresh-Route": route}
            headers["Link"] = (
                f'<{route}>; rel="xet-auth", <{base}/_cas/v1/reconstructions/{xet}>; rel="xet-reconstruction-info"'
            )
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


async def xet_token(request: Request) -> Response:
    """What a client needs to speak to the chunk store, which is the same server here."""
    if xet_store.lz4 is None:
        raise HubError(404, "Xet needs the lz4 package: set HF_HUB_DISABLE_XET=1")
    repo = repo_of(request, write=request.path_params["mode"] == "write")
    expires, base = int(datetime.datetime.now().timestamp()) + 3600, str(request.base_url).rstrip("/")
    cas_url, token = f"{base}/_cas", signed("", f"{repo.kind}/{repo.id}")
    headers = {"X-Xet-Cas-Url": cas_url, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(expires)}
    return JSONResponse({"casUrl": cas_url, "accessToken": token, "exp": expires}, headers=headers)


async def cas(request: Request) -> Response:
    """The chunk store. Clients ask for version 2 first; its 404 sends them to version 1."""
    path, store = request.path_params["path"], request.app.state.hub.xet
    scope, _, signature = request.headers.get("authorization", "").removeprefix("Bearer ").partition("?")
    if signature != signed("", scope).partition("?")[2]:
        raise HubError(401, "Invalid Xet token")
    if match := re.fullmatch(r"v1/xorbs?/[^/]+/([0-9a-f]{64})", path):
        known = match[1] in store.xorbs
        if request.method == "POST":
            store.xorbs[match[1]] = await request.body()
            return JSONResponse({"was_inserted": not known})
        return Response(status_code=200 if known else 404)
    if path in ("v1/shards", "shards") and request.method == "POST":
        store.take_shard(await request.body())
        return JSONResponse({"result": 1})
    if match := re.fullmatch(r"v1/reconstructions?/([0-9a-f]{64})", path):
        asked = request.headers.get("range", "")
        found = store.reconstruction(match[1], asked, lambda xorb: signed(storage_host(request), f"/_xorb/{xorb}"))
        if found is None:
            raise HubError(416, "Range not satisfiable")
        return JSONResponse(found)
    raise HubError(404, f"Not served: {path}")


async def xorb(request: Request) -> Response:
    check_signed(request)
    return send_bytes(request, request.app.state.hub.xet.xorbs[request.path_params["hash"]], {})


async def answer_error(request: Request, error: HubError) -> Response:
    headers = {"X-Error-Message": error.message.encode("ascii", "replace").decode().replace("\n", " ")}
    if error.code:
        headers["X-Error-Code"] = error.code
    if "commit" in error.body:
        headers["X-Repo-Commit"] = error.body["commit"]
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Authentication required", charset="UTF-8"'
    return JSONResponse({"error": error.message, **error.body}, error.status, headers)


def make_app(tokens: dict[str, dict]) -> Faults:
    """The server; `tokens` maps a token to its user: name, role ("read", "write", "fineGrained"), the namespaces or
    repositories that a fine-grained one may write in ("scopes"), and orgs with the role there."""
    repo = "/api/{kind}/{ns}/{name}"
    routes = [
        Route("/api/whoami-v2", whoami),
        Route("/api/validate-yaml", validate_yaml, methods=["POST"]),
        Route("/api/models", list_models),
        Route("/api/repos/create", create_repo, methods=["POST"]),
        Route("/api/repos/delete", delete_repo, methods=["DELETE"]),
        Route("/api/{kind}/{ns}/{name}/runtime", space_runtime),
        Route("/api/{kind}/{ns}/{name}/hardware", space_hardware, methods=["POST"]),
        Route("/api/resolve-cache/{kind}/{ns}/{name}/{rev}/{path:path}", resolve_cache),
        Route(repo, repo_info),
        Route(f"{repo}/revision/{{rev}}", repo_info),
        Route(f"{repo}/commits/{{rev}}", commits),
        Route(f"{repo}/refs", refs),
        Route(f"{repo}/branch/{{rev}}", branch, methods=["POST"]),
        Route(f"{repo}/xet-{{mode}}-token/{{rev}}", xet_token),
        Route(f"{repo}/tree/{{rev}}", tree),
        Route(f"{repo}/tree/{{rev}}/{{path:path}}", tree),
        Route(f"{repo}/paths-info/{{rev}}", paths_info, methods=["POST"]),
        Route(f"{repo}/tag/{{rev}}", tag, methods=["POST"]),
        Route(f"{repo}/preupload/{{rev}}", preupload, methods=["POST"]),
        Route(f"{repo}/commit/{{rev}}", commit, methods=["POST"]),
        Route("/_lfs/{kind}/{ns}/{name}/{sha}", lfs_put, methods=["PUT"]),
        Route("/_cdn/{kind}/{ns}/{name}/{sha}", cdn),
        Route("/_cas/{path:path}", cas, methods=["GET", "HEAD", "POST"]),
        Route("/_xorb/{hash}", xorb),
    ]
    for prefix in ("", "/datasets", "/spaces"):
        routes += [
            Route(f"{prefix}/{{ns}}/{{name}}.git/info/lfs/objects/batch", lfs_batch, methods=["POST"]),
            Route(f"{prefix}/{{ns}}/{{name}}/resolve/{{rev}}/{{path:path}}", resolve),
        ]
    app = Starlette(routes=routes, exception_handlers={HubError: answer_error})
    app.state.hub = hub = Hub(tokens)

    def named(path: str) -> tuple[str, str]:
        """The key of the repository that an address names."""
        kind, repo_id = re.search(
            r"(?:/(models|datasets|spaces))?/([^/]+/[^/]+?)(?:\.git)?(?:/|$)", re.sub("^/(api|_cdn|_lfs)", "", path)
        ).groups()
        return kind or "models", repo_id

    def overtake(path: str) -> None:
        repo = hub.repos[named(path)]
        head = repo.at("main")
        files = {**head.files, f"other-{len(repo.commits)}.txt": File(b"by somebody else", lfs=False)}
        repo.add(Commit(files, "Somebody else's", head.oid), "main")

    return Faults(app, delete=lambda path: hub.repos.pop(named(path), None), overtake=overtake)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; the endpoint is printed")
    parser.add_argument("--token", action="append", default=[], metavar="TOKEN=USER:read|write|SCOPE[,SCOPE]")
    parser.add_argument("--org", action="append", default=[], metavar="ORG=USER:ROLE[,USER:ROLE]")
    args = parser.parse_args()
    orgs: dict[str, dict[str, str]] = {}
    for org, members in (entry.split("=") for entry in args.org):
        for name, role in (member.split(":") for member in members.split(",")):
            orgs.setdefault(name, {})[org] = role
    tokens = {}
    for token, who in (entry.split("=") for entry in args.token):
        name, role = who.split(":")
        scopes = [] if role in ("read", "write") else role.split(",")
        tokens[token] = {
            "name": name,
            "role": "fineGrained" if scopes else role,
            "scopes": scopes,
            "orgs": orgs.get(name, {}),
        }
    listener = socket.create_server(("127.0.0.1", args.port))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(make_app(tokens), log_level="critical", access_log=False, http=Protocol)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
