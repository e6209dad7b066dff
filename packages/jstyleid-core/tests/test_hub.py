"""Downloading a checkpoint, from a small server that answers as the hub does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reference_sets import Reference

REPOSITORY, COMMIT = "someone/some-model", "0123456789abcdef0123456789abcdef01234567"
UNWANTED = ("README.md", "v2-1_768-ema-pruned.ckpt", "unet/diffusion_pytorch_model.bin",
            "unet/diffusion_pytorch_model.fp16.safetensors", "safety_checker/model.safetensors")


class Hub(ThreadingHTTPServer):
    """One repository, and a note of which files were fetched."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.files, self.fetched = files, list[str]()


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith(f"/api/models/{REPOSITORY}"):
            names = list(self.server.files)
            if "/tree/" in path:
                listing: object = [{"type": "file", "path": name, "oid": "0",
                                    "size": len(self.server.files[name])} for name in names]
            else:
                siblings = [{"rfilename": name} for name in names]
                listing = {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}
            content = json.dumps(listing).encode()
            self.reply(content, body, {"Content-Type": "application/json"})
            return
        name = path.removeprefix(f"/{REPOSITORY}/resolve/{COMMIT}/")
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        if body:
            self.server.fetched.append(name)
        etag = hashlib.sha256(content).hexdigest()
        self.reply(content, body, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def reply(self, content: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """The test's output is no place for an access log."""


@pytest.fixture
def hub(small: Reference) -> Iterator[Hub]:
    root = small.checkpoint
    files = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    server = Hub(files | dict.fromkeys(UNWANTED, b"not needed"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def find(cache: Path, hub: Hub, offline: bool = False) -> Path:
    program = ("from jstyleid_core.weights.checkpoint import find_checkpoint\n"
               f"found = find_checkpoint({REPOSITORY!r})\nprint(found.path)\n"
               "[found.weights(part) for part in ('unet', 'vae', 'text_encoder')]")
    environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
                   "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": "1",
                   "HF_HUB_OFFLINE": str(int(offline))}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True,
                         text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return Path(ran.stdout.strip())


def test_what_is_needed_is_downloaded_once(hub: Hub, tmp_path: Path) -> None:
    folder = find(tmp_path, hub)
    needed = {name for name in hub.files if name not in (*UNWANTED, "model_index.json")}
    assert set(hub.fetched) == needed
    for name in needed:
        assert (folder / name).read_bytes() == hub.files[name]

    hub.fetched.clear()
    assert find(tmp_path, hub) == folder
    assert find(tmp_path, hub, offline=True) == folder
    assert hub.fetched == []


def test_an_interrupted_download_goes_on(hub: Hub, tmp_path: Path) -> None:
    folder = find(tmp_path, hub)
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    weights.resolve().unlink()
    weights.unlink()
    hub.fetched.clear()
    find(tmp_path, hub)
    assert hub.fetched == ["unet/diffusion_pytorch_model.safetensors"]
