"""What an API that is not ganguard's is asked, and which images one request brings."""

from dataclasses import dataclass
from typing import NamedTuple

from ganguard.base.cache import content_key
from ganguard.base.seeds import derived_seed
from ganguard.targets.api.image import Reading
from ganguard.targets.api.jobs import Poll
from ganguard.targets.api.request import ApiRequest
from ganguard.targets.conditions import Conditions

_SEEDS = 1 << 31  # APIs that take a seed take one below this


class Wanted(NamedTuple):
    """What images are asked for with.

    Attributes:
        seed: of the purchase.
        prompt: its number; 0 if there are none.
        apart: digest of the prompt, by which answers to it are kept apart; empty if it is the images' own.
    """

    seed: int
    prompt: int
    apart: str


@dataclass(frozen=True)
class Api:
    """What an API is asked, and how its answers are read.

    Attributes:
        request: the request for one image, or for several.
        prompts: the k-th request is sent with prompt k mod their number if nobody asks for another; there may
            be none.
        reading: how its answer is read.
        idempotent: whether the API knows a request by its `$ID`, and answers it again without a charge.
        most: images that a request brings at most.
        fixed: whether it brings so many in any case, and cannot be asked for fewer.
        poll: how the job is followed that the API answers with; None if it answers with images.
    """

    request: ApiRequest
    prompts: tuple[str, ...]
    reading: Reading
    idempotent: bool = False
    most: int = 1
    fixed: bool = False
    poll: Poll | None = None

    def asked(self) -> str:
        """Return a digest of what is sent: answers to other requests are kept apart."""
        several = {"most": self.most} if self.most > 1 else {}
        return content_key(request=self.request.model_dump(mode="json"), prompts=self.prompts, **several)

    def digest(self) -> str:
        """Return a digest of all that images depend on."""
        others = {"jobs": self.poll.leads()} if self.poll else {}
        if self.reading.alpha:
            others["alpha"] = (self.reading.alpha,)
        return content_key(
            asked=self.asked(),
            paths=self.reading.paths,
            shape=self.reading.shape,
            resized=self.reading.resized,
            **others,
        )

    def group(self, index: int) -> range:
        """Return the images that may come in one answer with an image."""
        first = index // self.most * self.most
        return range(first, first + self.most)

    def conditions(self) -> Conditions | None:
        """Return what it can be asked for, its prompts; None if it takes none."""
        if not self.prompts:
            return None
        return Conditions(kind="prompts", names=self.prompts, in_turn=True, together=self.most)

    def own(self, index: int) -> int:
        """Return the number of the prompt that an image shows if nobody asks; 0 if there are none."""
        return index // self.most % max(1, len(self.prompts))

    def wanted(self, seed: int, run: range, prompt: int) -> Wanted:
        """Return what images of one group are asked for with that show one prompt."""
        own = prompt == self.own(run.start)
        return Wanted(seed, prompt, "" if own else content_key(prompt=self.prompts[prompt])[:16])

    def values(self, wanted: Wanted, run: range, key: str) -> dict[str, str | int]:
        """Return what stands in the places of the request for a run of images."""
        several = {"count": len(run)} if self.most > 1 else {}
        other = {"prompt": wanted.apart} if wanted.apart else {}
        name = content_key(asked=self.asked(), seed=wanted.seed, index=run.start, **several, **other)
        return {
            "PROMPT": self.prompts[wanted.prompt] if self.prompts else "",
            "SEED": derived_seed(wanted.seed, "api", str(run.start)) % _SEEDS,
            "INDEX": run.start,
            "N": len(run),
            "ID": name,
            "KEY": key,
        }
