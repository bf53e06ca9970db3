"""The guessed defence that an adversary puts into its own training."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.audit.spec.adversary import Asking
from ganguard.base.cache import content_key
from ganguard.base.errors import InputError, SpecError
from ganguard.base.settings import one_line
from ganguard.defences.protocol import Defence, InputDefence, OutputDefence, Tools, chain_label, through
from ganguard.defences.streams import Streams
from ganguard.training.guess import Guess


def guess_of(chain: Sequence[Defence], tools: Tools, asking: Asking | None = None) -> Guess:
    """Return the guess of an adversary that believes that `chain` stands before the target.

    It knows the defences, and draws their random numbers itself. A batch of its training is one request.

    Args:
        chain: the defences that it believes in.
        tools: what these may need: feature networks.
        asking: how it averages several answers for each image that it buys: its own images then pass through
            the defences as often, and the mean is what D sees. None if it does not.
    """
    moves = [(place, d) for place, d in enumerate(chain) if isinstance(d, InputDefence)]
    changes = [(place, d) for place, d in enumerate(chain) if isinstance(d, OutputDefence)]

    def codes(latents: Tensor, generator: torch.Generator) -> Tensor:
        streams = Streams.drawn(len(latents), generator)
        for place, defence in moves:
            guessed = defence.guess(latents, streams.named(str(place)), place)
            if guessed.shape != latents.shape:
                raise SpecError(
                    f"{defence.label()} must return codes of shape {tuple(latents.shape)}; it returned "
                    f"{tuple(guessed.shape)}."
                )
            latents = guessed
        return latents

    answers = _Answers(tuple(changes), tools)

    def images(floats: Tensor, generator: torch.Generator) -> Tensor:
        return answers.mean(floats, generator, asking) if asking else answers.one(floats, generator)

    said = {"guess": [defence.said() for defence in chain]}
    return Guess(
        content_key(**said, **({"asking": asking.model_dump(mode="json")} if asking else {})),
        codes if moves else None,
        images if changes else None,
    )


@dataclass(frozen=True)
class _Answers:
    """What comes back of float images (N, C, H, W) in [-1, 1] through defences of images.

    changes: the defences, each with its place in the chain.
    """

    changes: tuple[tuple[int, OutputDefence], ...]
    tools: Tools

    def one(self, floats: Tensor, generator: torch.Generator) -> Tensor:
        """Return an answer for each image."""
        streams = Streams.drawn(len(floats), generator)
        return self._answer(floats, streams, streams)

    def mean(self, floats: Tensor, generator: torch.Generator, asking: Asking) -> Tensor:
        """Return the mean of several answers for each image, as the adversary asks.

        Random numbers that follow from the code are the same in all of them, unless the codes differ.
        """
        of_code = Streams.drawn(len(floats), generator)
        total = torch.zeros_like(floats)
        for _ in range(asking.copies):
            of_query = Streams.drawn(len(floats), generator)
            total = total + self._answer(floats, of_query if asking.moved else of_code, of_query)
        return total / asking.copies

    def _answer(self, floats: Tensor, of_code: Streams, of_query: Streams) -> Tensor:
        for place, defence in self.changes:
            streams = of_code if defence.randomness == "per_code" else of_query
            floats = through(defence, floats, streams.named(str(place)), self.tools)
        return floats


def rehearse_guess(
    chain: Sequence[Defence], image_shape: tuple[int, int, int], latent_dim: int, tools: Tools
) -> None:
    """Send two made-up codes (2, latent_dim) and images (2, C, H, W) through a guessed chain of defences.

    Raises SpecError if the guess does not fit them.
    """
    guess, generator = guess_of(chain, tools), torch.Generator().manual_seed(0)
    try:
        if guess.codes:
            guess.codes(torch.zeros(2, latent_dim), generator)
        if guess.images:
            guess.images(torch.zeros(2, *image_shape), generator)
    except Exception as problem:
        why = f"{type(problem).__name__}: {problem}" if not isinstance(problem, InputError) else problem
        raise SpecError(
            f"adversaries: the guess {chain_label(tuple(chain))} does not fit this target: {one_line(why)}"
        ) from problem
