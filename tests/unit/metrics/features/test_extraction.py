from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_networks import TinyFloats, TinyInception, save_script
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError
from ganguard.base.seeds import seeded_weights
from ganguard.metrics.features import extraction
from ganguard.metrics.features.classifier import Classifier
from ganguard.metrics.features.extraction import FeatureCache, blocks, extract_stream, network_key
from ganguard.metrics.features.inception import Inception
from ganguard.metrics.features.network import FeatureNetwork, extract
from ganguard.metrics.features.random_network import RandomNetwork
from ganguard.metrics.features.torchscript import TorchScript

SETTINGS = RandomNetwork(dimensions=5)


class Counting(FeatureNetwork):
    """Mean and largest pixel of each image, and how many images were looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def features(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return torch.stack([images.mean(dim=(1, 2, 3)), images.amax(dim=(1, 2, 3))], dim=1)

    def probabilities(self, images: Tensor) -> Tensor:
        return self.features(images).softmax(1)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (600, 1, 6, 6), dtype=np.uint8))


@pytest.fixture
def network(tmp_path: Path) -> FeatureNetwork:
    return SETTINGS.load(tmp_path, 1)


@pytest.mark.parametrize("size", [1, 7, 256, 257, 600, 1000])
@pytest.mark.parametrize("block", [4, 256, 1000])
def test_blocks_are_the_images_in_their_order(images: Tensor, size: int, block: int) -> None:
    found = list(blocks(iter(images.split(size)), block))
    assert torch.equal(torch.cat(found), images)
    assert [len(part) for part in found] == [len(part) for part in images.split(block)]


def test_images_of_two_shapes_are_no_set(images: Tensor) -> None:
    with pytest.raises(
        MetricError, match=r"images of \(1, 6, 6\) and \(1, 5, 6\) \(C, H, W\) cannot be one set"
    ):
        list(blocks([images[:3], images[:3, :, 1:]]))
    with pytest.raises(MetricError, match="images must be a uint8 tensor"):
        list(blocks([images.float()]))


@pytest.mark.parametrize("size", [1, 100, 600])
def test_streaming_gives_the_very_features_of_the_whole(
    network: FeatureNetwork, images: Tensor, compute: Compute, size: int
) -> None:
    assert torch.equal(
        extract_stream(network, images.split(size), compute), extract(network, images, compute)
    )


def test_no_more_than_a_block_is_taken_before_it_is_used(images: Tensor, compute: Compute) -> None:
    network, ahead = Counting(), [0]

    def chunks() -> Iterator[Tensor]:
        for number, chunk in enumerate(images.split(50)):
            ahead.append(50 * number - network.seen)
            yield chunk

    extract_stream(network, chunks(), compute)
    assert max(ahead) <= 256 + 50


def test_of_no_images_there_are_no_features(
    network: FeatureNetwork, images: Tensor, compute: Compute
) -> None:
    for chunks in ([], [images[:0]]):
        with pytest.raises(MetricError, match="features were requested of no images"):
            extract_stream(network, chunks, compute)


def test_a_width_that_changes_from_block_to_block_is_refused(
    images: Tensor, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Counting()
    monkeypatch.setattr(
        network, "features", lambda given: torch.zeros(len(given), 2 if len(given) == 256 else 3)
    )
    with pytest.raises(MetricError, match="must keep its width; it gave 2, then 3"):
        extract_stream(network, [images], compute)


def test_progress_ends_at_the_total(images: Tensor, compute: Compute) -> None:
    calls: list[tuple[int, int, str]] = []
    extract_stream(
        Counting(), images.split(600), compute, lambda done, total, note="": calls.append((done, total, note))
    )
    assert calls == [(256, 256, "features"), (512, 512, "features"), (600, 600, "features")]
    calls.clear()
    extract_stream(
        Counting(),
        [images],
        compute,
        lambda done, total, note="": calls.append((done, total, note)),
        total=600,
    )
    assert [total for _, total, _ in calls] == [600, 600, 600]


def test_what_is_kept_is_not_made_again(tmp_path: Path, images: Tensor, compute: Compute) -> None:
    network, cache = Counting(), FeatureCache(tmp_path, "key")
    first = extract_stream(network, [images], compute, cache=cache)
    assert network.seen == 600
    again = extract_stream(network, images.split(70), compute, cache=cache)
    assert network.seen == 600
    assert torch.equal(first, again)
    assert torch.equal(first, extract(Counting(), images, compute))


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, images: Tensor, compute: Compute) -> None:
    network, cache = Counting(), FeatureCache(tmp_path, "key")

    def stopped() -> Iterator[Tensor]:
        yield images[:300]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_stream(network, stopped(), compute, cache=cache)
    extract_stream(network, [images], compute, cache=cache)
    assert network.seen == 600


def test_other_images_and_other_outputs_are_others(tmp_path: Path, images: Tensor, compute: Compute) -> None:
    cache, few = FeatureCache(tmp_path, "key"), images[:10]
    extract_stream(Counting(), [few], compute, cache=cache)
    changed = few.clone()
    changed[3, 0, 2, 2] ^= 1
    for asked in (changed, few.flip(0), few[:9], few.view(10, 1, 4, 9)):
        assert cache.find(asked, "features") is None
    assert cache.find(few, "probabilities") is None
    assert FeatureCache(tmp_path, "other").find(few, "features") is None
    assert cache.find(few.clone(), "features") is not None
    found = extract_stream(Counting(), [few], compute, output="probabilities", cache=cache)
    assert torch.equal(found, extract(Counting(), few, compute, output="probabilities"))


def _damaged(content: bytes) -> list[bytes]:
    flipped = bytearray(content)
    flipped[-1] ^= 1
    return [b"", content[: len(content) // 2], bytes(flipped), b"x" * len(content)]


def test_a_damaged_file_is_made_anew(tmp_path: Path, images: Tensor, compute: Compute) -> None:
    cache = FeatureCache(tmp_path, "key")
    wanted = extract_stream(Counting(), [images[:10]], compute, cache=cache)
    (file,) = tmp_path.rglob("*.safetensors")
    whole = file.read_bytes()
    for content in _damaged(whole):
        file.write_bytes(content)
        assert torch.equal(extract_stream(Counting(), [images[:10]], compute, cache=cache), wanted)
        assert file.read_bytes() == whole
    assert list(tmp_path.rglob("*.*")) == [file]


def test_anothers_rows_in_a_files_place_are_not_taken(tmp_path: Path, images: Tensor) -> None:
    cache = FeatureCache(tmp_path, "key")
    cache.keep(images[:4], "features", torch.zeros(3, 2))
    assert cache.find(images[:4], "features") is None


def test_the_key_changes_with_weights_settings_threads_code_and_libraries(
    tmp_path: Path, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(settings: RandomNetwork = SETTINGS, using: Compute = compute) -> str:
        return network_key(settings, settings.load(tmp_path, 1), using)

    keys = [
        key(),
        key(RandomNetwork(dimensions=6)),
        key(RandomNetwork(dimensions=5, seed=1)),
        key(using=Compute(threads=2)),
    ]
    monkeypatch.setattr(extraction, "version", lambda name: f"another {name}")
    keys.append(key())
    monkeypatch.setattr(extraction, "code_version", lambda *packages: "another")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == key()


def test_two_trainings_of_one_classifier_have_two_keys(compute: Compute) -> None:
    keys: set[str] = set()
    for seed in (0, 1):
        with seeded_weights(seed):
            network = Classifier(width=4).untrained(1, 3)
        keys.add(network_key(Classifier(width=4), network, compute))
    assert len(keys) == 2


def test_the_key_is_of_the_file_and_of_the_preprocessing(tmp_path: Path, compute: Compute) -> None:
    file = tmp_path / "n.pt"

    def key(**values: object) -> str:
        settings = TorchScript(path=str(file), trusted=True, **values)
        return network_key(settings, settings.load(tmp_path, 1), compute)

    save_script(TinyFloats(), file)
    keys = [key(), key(size=8), key(channels=3)]
    save_script(TinyFloats(), file, seed=1)
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_a_pin_changes_no_key(tmp_path: Path, compute: Compute) -> None:
    settings = Inception(path=str(save_script(TinyInception(), tmp_path / "i.pt")), trusted=True)
    network = settings.load(tmp_path, 3)
    same = settings.model_copy(update={"sha256": settings.fingerprint()})
    assert network_key(settings, network, compute) == network_key(same, network, compute)
