"""Downloads against a hub that runs here: the real client, a real server, and the answers of a hub."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": json.dumps({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 64}).encode(),
    "model.safetensors": b"\2\0\0\0\0\0\0\0{}",
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle, never to be asked for",
    "modeling_own.py": b"raise SystemExit('remote code ran')",
    "onnx/model.safetensors": b"of another framework",
}


class Hub(BaseHTTPRequestHandler):
    """The few routes that `snapshot_download` calls."""

    asked: list[str]

    def do_GET(self):
        self.answer(body=True)

    def do_HEAD(self):
        self.answer(body=False)

    def answer(self, body):
        self.asked.append(self.path)
        path = self.path.split("?")[0]
        if path.startswith("/api/models/org/model/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in FILES.items()
            ]
            self.send(200, json.dumps(tree).encode(), body)
        elif path.startswith("/api/models/org/model/") and path.endswith(("/main", f"/{COMMIT}")):
            siblings = [{"rfilename": name} for name in FILES]
            self.send(200, json.dumps({"id": "org/model", "sha": COMMIT, "siblings": siblings}).encode(), body)
        elif path.startswith("/org/model/resolve/") and (name := path.split("/", 5)[5]) in FILES:
            self.send(200, FILES[name], body)
        elif path.startswith("/api/models/org/model/"):
            self.send(404, b"{}", body, code="RevisionNotFound")
        elif path.startswith("/api/models/org/gated"):
            self.send(403, b"{}", body, code="GatedRepo")
        else:
            self.send(401, b"{}", body, code="RepoNotFound")

    def send(self, status, content, body, code=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    handler = type("Handler", (Hub,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def resolve(name, server, home, code=False):
    """Resolve in a process of its own, since huggingface_hub reads its settings when it is imported."""
    script = (
        "import dataclasses, json, sys\n"
        "from harness.models.source import resolve_model\n"
        "from harness.errors import ModelError\n"
        f"try: print(json.dumps(dataclasses.asdict(resolve_model({name!r}, trust_remote_code={code}))))\n"
        "except ModelError as error: print(json.dumps({'error': str(error)}))"
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("HF_HUB_OFFLINE", "HF_TOKEN")}
    environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(home)}
    environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "*"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_model_is_downloaded_once_and_known_by_its_commit(hub, tmp_path):
    source = resolve("org/model", hub, tmp_path)
    assert (source["kind"], source["name"], source["revision"]) == ("hub", "org/model", COMMIT)
    folder = Path(source["location"])
    assert {file.name for file in folder.iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
    assert not [path for path in hub.RequestHandlerClass.asked if "pytorch_model" in path or path.endswith(".py")]
    hub.shutdown()
    hub.server_close()
    assert resolve("org/model", hub, tmp_path)["revision"] == COMMIT  # from the cache, the hub being gone


def test_the_repositorys_own_code_comes_only_when_it_is_trusted(hub, tmp_path):
    source = resolve("org/model", hub, tmp_path, code=True)
    assert (Path(source["location"]) / "modeling_own.py").is_file()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("org/model@no-such-tag", "no revision 'no-such-tag'"),
        ("org/none", "the hub has no model 'org/none'"),
        ("org/gated", "asks for an agreement"),
    ],
)
def test_what_the_hub_refuses_is_said(hub, tmp_path, name, message):
    assert message in resolve(name, hub, tmp_path)["error"]


def test_a_hub_that_does_not_answer_is_out_of_reach(hub, tmp_path):
    hub.shutdown()
    hub.server_close()
    assert "the hub is out of reach" in resolve("org/model", hub, tmp_path)["error"]
