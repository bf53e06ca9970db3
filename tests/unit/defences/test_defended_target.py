"""A shield before a target: what it keeps, what it hides, and what it refuses."""

import hashlib
import hmac
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from ganguard.base.cache import canonical_json, code_version, library_version
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.base.seeds import stream_key
from ganguard.defences import protocol
from ganguard.defences.defended_target import REQUEST, DefendedTarget, defend
from ganguard.defences.protocol import Defence, OutputDefence, Tools, chain_label, parse_chain, parse_defence
from ganguard.defences.streams import Streams
from ganguard.defences.version import source_version
from ganguard.queries.averaged_target import average
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.images import PooledImages
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, WhiteBoxTarget

NOISE = {"kind": "gaussian_noise", "std": 0.3}
LINES = {"kind": "linear_interpolation"}
Ramp = Callable[..., BlackBoxTarget]


def _shielded(
    inner: BlackBoxTarget, *settings: object, client: str = "us", secret: bytes = b"secret"
) -> DefendedTarget:
    return defend(inner, [parse_defence(said) for said in settings], secret=secret, client=client)


@pytest.fixture
def gan(tiny_checkpoint: Callable[..., Path], tmp_path: Path, compute: Compute) -> LatentTarget:
    return CheckpointTarget(checkpoint=str(tiny_checkpoint(tmp_path / "gan"))).load(compute)


@pytest.mark.parametrize("latent", [False, True])
@pytest.mark.parametrize("white", [False, True])
def test_the_shield_has_just_the_capabilities_inside(ramp: Ramp, latent: bool, white: bool) -> None:
    inner = ramp(latent=latent, white=white)
    shielded = _shielded(inner, NOISE)
    assert isinstance(shielded, BlackBoxTarget)
    assert isinstance(shielded, LatentTarget) is latent
    assert isinstance(shielded, WhiteBoxTarget) is white
    assert shielded.image_shape == inner.image_shape
    if white:
        assert shielded.discriminator is inner.discriminator
    if latent:
        assert shielded.latent_dim == inner.latent_dim


def test_who_it_is_follows_from_target_defences_and_secret_and_not_from_the_client(ramp: Ramp) -> None:
    inner = ramp()
    one = _shielded(inner, NOISE)
    assert one.identity == _shielded(inner, NOISE, client="them").identity
    others = [
        _shielded(inner, {**NOISE, "std": 0.2}),
        _shielded(inner, NOISE, NOISE),
        _shielded(inner, NOISE, secret=b"other"),
    ]
    assert len({one.identity, inner.identity, *(other.identity for other in others)}) == 5


def test_the_identity_is_no_test_of_guessed_secrets_without_the_chain(ramp: Ramp) -> None:
    """It is keyed by the secret: no part of it is the same for two chains, or a hash of the secret alone."""
    shown = [_shielded(ramp(), *chain).identity.rpartition(":")[2] for chain in ([], [NOISE], [NOISE, NOISE])]
    unkeyed = {
        stream_key(0, "secret", b"secret".hex()).hex(),
        *(hashlib.new(name, b"secret").hexdigest() for name in ("sha256", "blake2b", "md5")),
    }
    assert len(set(shown)) == 3
    assert not unkeyed & set(shown)
    said: list[dict[str, object]] = []
    keyed = hmac.digest(b"secret", f"ganguard identity\x1f{canonical_json(said)}".encode(), "sha256")
    assert shown[0] == keyed.hex()


PLUGIN = """
from typing import Literal
from ganguard.defences.protocol import OutputDefence

class Darker(OutputDefence):
    kind: Literal["darker"] = "darker"

    def change(self, images, streams, tools):
        return images // {by}
"""


@pytest.mark.parametrize("packaged", [True, False], ids=["a package", "a file in a namespace"])
def test_a_defence_whose_code_is_another_makes_another_target(
    ramp: Ramp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packaged: bool
) -> None:
    """What was bought through the old code is not what the new code would give."""
    module = "darkening_package.darker"
    (tmp_path / "darkening_package").mkdir()
    if packaged:
        (tmp_path / "darkening_package" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def identity(by: int) -> str:
        (tmp_path / "darkening_package" / "darker.py").write_text(PLUGIN.format(by=by))
        for name in ("darkening_package", module):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        code_version.cache_clear()
        source_version.cache_clear()  # as another process would find it
        return defend(ramp(), [importlib.import_module(module).Darker()], secret=b"s", client="us").identity

    before = identity(2)
    assert identity(3) != before
    assert identity(2) == before


def test_libraries_that_are_others_make_another_target(ramp: Ramp, monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg = {"kind": "jpeg", "quality": 50}
    before = [_shielded(ramp(), said).identity for said in (jpeg, NOISE)]
    monkeypatch.setattr(
        protocol, "library_version", lambda name: "99" if name == "simplejpeg" else library_version(name)
    )
    after = [_shielded(ramp(), said).identity for said in (jpeg, NOISE)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True]


def test_the_feature_network_that_adversarial_noise_misleads_is_part_of_the_target(ramp: Ramp) -> None:
    def identity(version: str) -> str:
        tools = Tools(lambda settings: lambda images: images.flatten(1), lambda settings: version)
        chain = [parse_defence({"kind": "adversarial_noise", "budget": 8})]
        return defend(ramp(), chain, secret=b"s", client="us", tools=tools).identity

    assert identity("1") == identity("1") != identity("2")


@pytest.mark.parametrize(
    "chain", [[NOISE], [LINES], [LINES, NOISE], [{**NOISE, "randomness": "per_request"}]]
)
def test_an_image_follows_from_seed_and_index_however_it_is_asked_for(
    gan: LatentTarget, chain: list[object]
) -> None:
    shielded = _shielded(gan, *chain)
    whole = shielded.sample(range(3 * REQUEST), seed=5)
    for part in (range(1), range(7, 8), range(60, 70), range(REQUEST, 2 * REQUEST), range(100, 192)):
        assert torch.equal(shielded.sample(part, seed=5), whole[part.start : part.stop])
    assert not torch.equal(shielded.sample(range(REQUEST), seed=6), whole[:REQUEST])


@pytest.mark.parametrize("chain", [[NOISE], [LINES]])
def test_every_second_image_cannot_be_asked_for(gan: LatentTarget, chain: list[object]) -> None:
    """As of the target inside."""
    for target in (gan, _shielded(gan, *chain)):
        with pytest.raises(ValueError, match="range of step 1"):
            target.sample(range(0, 10, 2), seed=0)


@pytest.mark.parametrize("chain", [[NOISE], [LINES], [LINES, NOISE]])
def test_codes_that_are_sent_in_whole_requests_give_what_the_provider_would(
    gan: LatentTarget, chain: list[object]
) -> None:
    shielded = _shielded(gan, *chain)
    asked = range(REQUEST, 3 * REQUEST)
    assert isinstance(shielded, LatentTarget)
    assert torch.equal(
        shielded.generate(shielded.draw_latents(asked, seed=2)), shielded.sample(asked, seed=2)
    )


def test_the_same_code_meets_the_same_noise_whenever_it_is_sent(gan: LatentTarget) -> None:
    z = gan.draw_latents(range(3), seed=0)
    shielded = _shielded(gan, NOISE)
    twice = shielded.generate(torch.cat([z, z]))
    assert torch.equal(twice[:3], twice[3:])
    assert torch.equal(shielded.generate(z.flip(0)), twice[:3].flip(0))
    assert not torch.equal(twice[:3], gan.generate(z))


def test_a_zero_of_the_other_sign_is_no_other_code(gan: LatentTarget) -> None:
    """Entries of 0 in either sign would be as many answers to average as there are signs."""
    z = gan.draw_latents(range(2), seed=0)
    z[1] = z[0]
    z[:, 0] = torch.tensor([0.0, -0.0])
    one, other = _shielded(gan, NOISE).generate(z)
    assert torch.equal(one, other)


def test_noise_of_each_request_is_fresh_and_the_same_request_is_answered_alike(gan: LatentTarget) -> None:
    z = gan.draw_latents(range(3), seed=0)
    shielded = _shielded(gan, {**NOISE, "randomness": "per_request"})
    twice = shielded.generate(torch.cat([z, z]))
    assert not torch.equal(twice[:3], twice[3:])
    assert not torch.equal(shielded.generate(z), twice[:3])
    assert torch.equal(shielded.generate(torch.cat([z, z])), twice)


def test_averaging_a_code_gains_nothing_unless_noise_is_fresh(gan: LatentTarget) -> None:
    z = gan.draw_latents(range(1), seed=0)
    clean = gan.generate(z).float()
    errors = {}
    for randomness in ("per_code", "per_request"):
        shielded = _shielded(gan, {**NOISE, "std": 0.1, "randomness": randomness})
        mean = shielded.generate(z.expand(200, -1).contiguous()).float().mean(0)
        errors[randomness] = (mean - clean[0]).square().mean().sqrt().item()
    assert errors["per_request"] < errors["per_code"] / 5


@pytest.mark.parametrize("copies", [2, 5])
def test_equal_codes_in_a_request_of_their_own_undo_linear_interpolation(
    gan: LatentTarget, copies: int
) -> None:
    shielded = _shielded(gan, {"kind": "linear_interpolation"})
    clean = gan.sample(range(7), seed=3)
    assert torch.equal(average(shielded, copies, 0.0, apart=True).sample(range(7), seed=3), clean)
    assert not torch.equal(average(shielded, copies, 0.0).sample(range(7), seed=3), clean)


def test_clients_meet_other_noise(gan: LatentTarget) -> None:
    z = gan.draw_latents(range(4), seed=0)
    us, them = (_shielded(gan, NOISE, client=client).generate(z) for client in ("us", "them"))
    assert not torch.equal(us, them)
    assert torch.equal(us, _shielded(gan, NOISE).generate(z))


def test_the_seed_of_a_client_chooses_codes_and_never_noise(gan: LatentTarget) -> None:
    """A code that two seeds have in common meets the same noise."""

    class Constant:
        identity, image_shape, latent_dim = gan.identity, gan.image_shape, gan.latent_dim
        generate = staticmethod(gan.generate)

        def draw_latents(self, indices: range, *, seed: int) -> Tensor:
            return gan.draw_latents(range(len(indices)), seed=0)

        def sample(self, indices: range, *, seed: int) -> Tensor:
            return self.generate(self.draw_latents(indices, seed=seed))

    shielded = _shielded(Constant(), NOISE)
    assert torch.equal(shielded.sample(range(5), seed=1), shielded.sample(range(5), seed=2))


def test_an_image_that_comes_again_meets_the_same_noise_where_there_are_no_codes() -> None:
    """A pool is sampled with replacement. If a repeated image met fresh noise, averaging would remove the
    noise.
    """
    pool = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 1, 8, 8) * 60 + 60
    plain = PooledImages(pool.contiguous(), "pool")
    fresh = {**NOISE, "randomness": "per_request"}
    for settings, answers in ((NOISE, 3), (fresh, 2 * 50)):
        shielded = _shielded(plain, settings)
        images = torch.cat([shielded.sample(range(50), seed=seed) for seed in (1, 2)])
        assert len(images.unique(dim=0)) == answers
        assert torch.equal(shielded.sample(range(7, 9), seed=1), images[7:9])


def test_a_defended_target_is_metered_as_any(gan: LatentTarget, tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.open_account("us", 10)
        metered = meter(_shielded(gan, LINES, NOISE), ledger, "us")
        metered.sample(range(4), seed=0)
        assert ledger.balance("us").delivered == 4


def test_codes_out_of_reach_cannot_be_moved(ramp: Ramp) -> None:
    with pytest.raises(
        TargetError, match=r"linear interpolation 0\.5 moves codes, but this target takes none"
    ):
        _shielded(ramp(), LINES)


def test_a_defence_that_changes_the_shape_is_refused(ramp: Ramp) -> None:
    class Crop(OutputDefence):
        kind: Literal["crop"] = "crop"

        def label(self) -> str:
            return "crop"

        def change(self, images: Tensor, streams: Streams, tools: Tools) -> Tensor:
            return images[..., 1:]

    shielded = defend(ramp(), [Crop()], secret=b"s", client="us")
    with pytest.raises(
        TargetError, match=r"crop must keep images \(2, 1, 4, 4\) uint8; it gave \(2, 1, 4, 3\)"
    ):
        shielded.sample(range(2), seed=0)


@pytest.mark.parametrize("secret", [b"", b"x" * 65])
def test_a_secret_must_be_one(ramp: Ramp, secret: bytes) -> None:
    with pytest.raises(SpecError, match=f"1 to 64 bytes; got {len(secret)}"):
        _shielded(ramp(), NOISE, secret=secret)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("none", "none"),
        (NOISE, "gaussian noise 0.3"),
        ([LINES, NOISE], "linear interpolation 0.5 + gaussian noise 0.3"),
    ],
)
def test_chains_are_read_and_named(said: object, wanted: str) -> None:
    assert chain_label(parse_chain(said)) == wanted


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("jpg", "did you mean 'jpeg'"),
        ([NOISE, LINES], "defences that move codes must come before those that change images"),
        ({"kind": "jpeg", "quality": 101}, "less than or equal to 100"),
        (3, "defences: unknown defence"),
    ],
)
def test_wrong_chains_are_refused_in_one_line(said: object, message: str) -> None:
    with pytest.raises(SpecError, match=message) as raised:
        parse_chain(said)
    assert "\n" not in str(raised.value)


def test_two_of_a_chain_do_not_draw_the_same_noise(gan: LatentTarget) -> None:
    chain: Sequence[Defence] = [parse_defence({**NOISE, "std": 0.05})] * 2
    z = gan.draw_latents(range(30), seed=0)
    clean = gan.generate(z).float()
    error = [
        (defend(gan, c, secret=b"s", client="us").generate(z).float() - clean).square().mean()
        for c in (chain[:1], chain)
    ]
    assert error[1] / error[0] == pytest.approx(2, rel=0.15)  # 4 if the same noise were added twice
