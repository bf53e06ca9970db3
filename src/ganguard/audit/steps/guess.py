"""The guessed defence that an adversary puts into its own training."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganguard.base.cache import content_key
from ganguard.base.errors import InputError, SpecError
from ganguard.base.settings import one_line
from ganguard.defences.protocol import Defence, InputDefence, OutputDefence, Tools, chain_label, through
from ganguard.defences.streams import Streams
from ganguard.training.guess import Guess


def guess_of(chain: Sequence[Defence], tools: Tools) -> Guess:
    """Return the guess of an adversary that believes that `chain` stands before the target.

    It knows the defences, and draws their random numbers itself. A batch of its training is one request.

    Args:
        chain: the defences that it believes in.
        tools: what these may need: feature networks.
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

    def images(floats: Tensor, generator: torch.Generator) -> Tensor:
        streams = Streams.drawn(len(floats), generator)
        for place, defence in changes:
            floats = through(defence, floats, streams.named(str(place)), tools)
        return floats

    return Guess(
        content_key(guess=[defence.said() for defence in chain]),
        codes if moves else None,
        images if changes else None,
    )


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
