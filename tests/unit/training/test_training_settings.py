import pytest

from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.training.settings import TrainingSettings


def test_what_is_open_comes_from_the_paper() -> None:
    complete = TrainingSettings(architecture="sngan").completed()
    assert (complete.loss, complete.learning_rate, complete.betas, complete.n_dis) == (
        "hinge",
        2e-4,
        (0.0, 0.9),
        5,
    )


def test_what_is_said_is_kept() -> None:
    said = {"loss": "non_saturating", "learning_rate": 0.1, "betas": (0.0, 0.0), "n_dis": 2}
    assert TrainingSettings(architecture="sngan", **said).completed().model_dump(include=set(said)) == said


def test_settings_come_back_from_json() -> None:
    """They are stored with every checkpoint and hashed into every key."""
    settings = TrainingSettings(architecture={"kind": "dcgan", "width": 5}, steps=3, betas=(0.1, 0.2))
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 0),
        ("batch_size", 1.5),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("betas", [0.5, 1.0]),
        ("ema_decay", 1),
        ("ema_decay", -0.1),
        ("n_dis", 0),
        ("loss", "least_squares"),
        ("checkpoint_every", 0),
        ("learning_rate_decay", "cosine"),
        ("generator_pace", 0),
        ("orthogonal_weight", -1),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(SpecError, match=rf"^train\.{key}"):
        parse(TrainingSettings, {"architecture": "sngan", key: value}, "train")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"penalty_weight": 1.0}, "there is none. Set penalty: gradient or r1"),
        ({"penalty_every": 2}, "there is none. Set penalty: gradient or r1"),
        ({"path_length_weight": 1.0}, "need a G with styles.*sngan's has none"),
        ({"path_length_every": 2}, "need a G with styles.*sngan's has none"),
        (
            {"architecture": "stylegan2", "path_length_weight": 0, "path_length_every": 2},
            "path_length_weight: 0 leaves the penalty out",
        ),
    ],
)
def test_what_would_do_nothing_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TrainingSettings.model_validate({"architecture": "sngan", **values})


def test_a_penalty_that_the_recipe_lacks_has_the_weight_of_its_paper() -> None:
    complete = TrainingSettings.model_validate({"architecture": "sngan", "penalty": "gradient"}).completed()
    assert (complete.penalty, complete.penalty_weight, complete.penalty_every) == ("gradient", 10.0, 1)
    swapped = TrainingSettings.model_validate(
        {"architecture": "stylegan2", "penalty": "gradient"}
    ).completed()
    assert (swapped.penalty_weight, swapped.penalty_every, swapped.path_length_weight) == (10.0, 1, 2.0)
    without = TrainingSettings.model_validate({"architecture": "pggan", "penalty": "none"}).completed()
    assert (without.penalty, without.drift) == ("none", 1e-3)


def test_a_recipe_says_every_setting_but_when_the_state_is_saved() -> None:
    assert TrainingSettings(architecture="sngan").recipe()["augment"] == "none"
    assert (
        TrainingSettings.model_validate({"architecture": "sngan", "augment": "diffaugment"}).recipe()[
            "augment"
        ]
        == "diffaugment"
    )
    assert "checkpoint_every" not in TrainingSettings(architecture="sngan", checkpoint_every=3).recipe()


def test_the_learning_rate_falls_as_the_paper_has_it() -> None:
    falls = {
        kind: TrainingSettings(architecture=kind).recipe()["learning_rate_decay"]
        for kind in ("dcgan", "sngan", "pggan")
    }
    assert falls == {"dcgan": "linear", "sngan": "linear", "pggan": "none"}


def test_biggan_s_own_values_come_from_its_paper_and_others_do_not_say_them() -> None:
    """Records and keys of trainings that these values do not change are those of before."""
    biggan, sngan = (TrainingSettings(architecture=kind) for kind in ("biggan", "sngan"))
    complete = biggan.completed()
    assert (complete.generator_pace, complete.orthogonal_weight, complete.n_dis) == (0.25, 1e-4, 2)
    assert (complete.learning_rate, complete.betas) == (2e-4, (0.0, 0.999))
    for said in (sngan.recipe(), sngan.model_dump(), sngan.completed().model_dump(), biggan.recipe()):
        assert not {"generator_pace", "orthogonal_weight"} & said.keys()
    assert {"generator_pace", "orthogonal_weight"} < complete.model_dump().keys()
    changed = TrainingSettings(architecture="sngan", generator_pace=0.5, orthogonal_weight=1e-3)
    assert (changed.recipe()["generator_pace"], changed.recipe()["orthogonal_weight"]) == (0.5, 1e-3)
    assert TrainingSettings.model_validate(changed.model_dump(mode="json")) == changed
