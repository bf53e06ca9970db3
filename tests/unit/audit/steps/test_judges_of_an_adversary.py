"""The judges that cross-fitting makes compare as the adversary's own judge does."""

import pytest
import torch

from ganguard.audit.steps.knowledge import knowledge_of
from ganguard.base.compute import Compute
from ganguard.data.digits import Digits
from ganguard.data.splits import adversary_split, split


def test_a_judge_made_of_the_judges_own_images_says_what_it_says() -> None:
    real = Digits().load()
    known = knowledge_of(real, 0.05, "random_network", Compute(threads=1), seed=3)
    own, judged = adversary_split(split(real).train, 0.05, seed=3)
    images = torch.randint(0, 256, (30, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert known.judge and known.judge_against
    assert known.judge_against(real.images[judged])(images) == pytest.approx(known.judge(images))
    assert known.judge_against(real.images[own])(images) != pytest.approx(known.judge(images))
