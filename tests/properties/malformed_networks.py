"""Small checkpoints, training states and classifiers, whole and damaged."""

import hashlib
import io
import json
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from malformed_mutations import (
    Variant,
    flipped,
    foreign,
    json_texts,
    json_variants,
    safetensors_variants,
    stirred,
    truncated,
)
from safetensors.torch import save
from torch import nn

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.metrics.features.classifier import Classifier
from ganguard.training.state import save_state

Files = dict[str, bytes]
DESCRIPTION, G, D = "checkpoint.json", "generator.safetensors", "discriminator.safetensors"
CLASSIFIER = Classifier(width=2, dimensions=3)
IDENTITY = "a training"


@cache
def checkpoint(kind: str = "dcgan") -> Files:
    """Return the files of an untrained GAN's checkpoint."""
    architecture = parse_architecture({"kind": kind, "width": 2, "latent_dim": 3})
    networks = build_networks(architecture, (1, 8, 8))
    with tempfile.TemporaryDirectory() as directory:
        path = save_checkpoint(
            Path(directory) / "gan", networks, architecture, (1, 8, 8), {"training": {"steps": 3}}
        )
        return {file.name: file.read_bytes() for file in path.iterdir()}


def signed(files: Files) -> Files:
    """Return the files with digests that fit the weights: damage whose author covered it up."""
    description = json.loads(files[DESCRIPTION])
    description["digests"] = {
        n: hashlib.sha256(files[f"{n}.safetensors"]).hexdigest() for n in ("generator", "discriminator")
    }
    return {**files, DESCRIPTION: json.dumps(description).encode()}


def checkpoint_variants(marker: str) -> Iterator[tuple[str, Files]]:
    whole = checkpoint()
    yield "whole", whole
    for kind in ("sngan", "pggan", "stylegan2"):
        yield f"whole {kind}", checkpoint(kind)
    for name, content in _weights(whole[G], marker):
        yield f"{G}: {name}", signed({**whole, G: content})
    for name, content in [*truncated(whole[D], 4), *flipped(whole[D], 4)]:
        yield f"{D}: {name}", {**whole, D: content}
        yield f"{D}: {name}, signed", signed({**whole, D: content})
    for name, content in _descriptions(json.loads(whole[DESCRIPTION]), marker):
        yield f"{DESCRIPTION}: {name}", {**whole, DESCRIPTION: content}
    yield "G and D exchanged", signed({**whole, G: whole[D], D: whole[G]})
    for absent in (G, D, DESCRIPTION):
        yield f"{absent} absent", {name: content for name, content in whole.items() if name != absent}
    yield "weights of images that fill any memory", _of_large_images((1, 8192, 8192))


def _weights(content: bytes, marker: str) -> Iterator[Variant]:
    yield from safetensors_variants(content)
    yield from truncated(content, 12)
    yield from flipped(content, 25, stop=400)
    yield from flipped(content, 15)
    yield from stirred(content, 15)
    yield from foreign(marker)


def _descriptions(description: dict[str, Any], marker: str) -> Iterator[Variant]:
    yield from json_variants(description, 150)
    yield from json_texts(description)
    text = json.dumps(description).encode()
    yield from truncated(text, 12)
    yield from flipped(text, 25)
    yield from foreign(marker)
    for width in (0, -1, 3, 10**8, 2**61, 2**62, 2**70):
        for key in ("width", "latent_dim"):
            architecture = {**description["architecture"], key: width}
            yield f"{key} {width}", json.dumps({**description, "architecture": architecture}).encode()
    for shape in (
        (1, 8),
        (0, 8, 8),
        (1, 0, 0),
        (1, -8, -8),
        (1, 2**40, 2**40),
        (2, 8, 8),
        (10**9, 8, 8),
        (1, 8192, 8192),
    ):
        yield f"image_shape {shape}", json.dumps({**description, "image_shape": shape}).encode()


def _of_large_images(image_shape: tuple[int, int, int]) -> Files:
    """Return a valid checkpoint of a few kilobytes whose generator makes images that fill any memory."""
    architecture = parse_architecture({"kind": "sngan", "width": 1, "latent_dim": 1})
    with torch.device("meta"):
        networks = build_networks(architecture, image_shape)
    description = json.loads(checkpoint()[DESCRIPTION]) | {"image_shape": image_shape}
    description |= {"architecture": architecture.model_dump(mode="json")}
    files = {DESCRIPTION: json.dumps(description).encode()}
    for name, module in ((G, networks.generator), (D, networks.discriminator)):
        files[name] = save(
            {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in module.state_dict().items()}
        )
    return signed(files)


class Training:
    """The parts of a training that a state is saved from and loaded into."""

    def __init__(self) -> None:
        self.modules: dict[str, nn.Module] = {"generator": nn.Linear(2, 3), "ema": nn.Linear(2, 3)}
        self.optimizers = {"G": torch.optim.Adam(self.modules["generator"].parameters())}
        self.generator = torch.Generator()


@cache
def state() -> bytes:
    training = Training()
    training.modules["generator"](torch.ones(1, 2)).sum().backward()
    training.optimizers["G"].step()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "state"
        save_state(path, identity=IDENTITY, step=7, **vars(training))
        return path.read_bytes()


def state_variants(marker: str) -> Iterator[Variant]:
    whole = state()
    yield "whole", whole
    yield from safetensors_variants(whole)
    yield from truncated(whole, 12)
    yield from flipped(whole, 40, stop=900)
    yield from stirred(whole, 20)
    yield from foreign(marker)
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    note = json.loads(header["__metadata__"]["training"])
    short_texts = [text for text in json_texts(note) if len(text[1]) < 1 << 20]
    notes = [
        *json_variants(note, 40),
        *short_texts,
        ("step 0", json.dumps({**note, "step": 0}).encode()),
    ]
    for name, text in notes:
        changed = {**header, "__metadata__": {"training": text.decode("utf-8", "replace")}}
        yield f"note: {name}", _joined(changed, whole[8 + length :])
    for name in header:
        renamed = {f"x{key}" if key == name else key: value for key, value in header.items()}
        yield f"{name} renamed", _joined(renamed, whole[8 + length :])


def _joined(header: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


@cache
def classifier() -> bytes:
    return save(CLASSIFIER.untrained(1, 4).state_dict())


def classifier_variants(marker: str) -> Iterator[Variant]:
    whole = classifier()
    yield "whole", whole
    yield from safetensors_variants(whole)
    yield from truncated(whole, 10)
    yield from flipped(whole, 25, stop=1500)
    yield from stirred(whole, 10)
    yield from foreign(marker)
    tensors = CLASSIFIER.untrained(1, 4).state_dict()
    for shape in ((), (0,), (0, 3), (4,), (4, 3, 1), (4, 4), (5, 3)):
        yield f"logits of shape {shape}", save({**tensors, "logits.weight": torch.zeros(shape)})
    for kind in (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.float8_e4m3fn):
        yield f"all {kind}", save({name: value.to(kind) for name, value in tensors.items()})
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    yield "torch.save", buffer.getvalue()
