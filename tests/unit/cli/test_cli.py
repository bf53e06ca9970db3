"""The command line: exit codes, one clear line for bad input, and each verb on its own."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganguard.base.compute import Compute
from ganguard.base.progress import silent
from ganguard.cli.image_sets import image_set
from ganguard.data.digits import Digits

Cli = Callable[..., tuple[int, str, str]]


def refused(cli: Cli, *arguments: str) -> str:
    """The one line of a refusal."""
    code, out, err = cli(*arguments)
    assert code == 2
    assert out == ""
    err = "".join(
        line for line in err.splitlines(keepends=True) if not line.startswith("  ")
    )  # progress, where it takes long
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_help_and_version(cli: Cli) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        code, out, _ = cli(*arguments)
        assert code == 0
        for verb in ("audit", "train", "harvest", "attack", "measure", "report"):
            assert verb in out
    assert cli("--version")[1].startswith("ganguard ")


def test_help_imports_nothing_heavy() -> None:
    import subprocess

    code = (
        "import sys; sys.argv = ['ganguard', '--help']\nfrom ganguard.cli.main import main\ntry: "
        "main()\nexcept SystemExit: pass\nheavy = "
        "{'torch', 'numpy', 'sklearn', 'matplotlib', 'pyarrow', 'sqlalchemy', 'scipy'} & "
        "set(sys.modules)\nassert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


def test_a_terminal_that_lacks_a_letter_shows_a_question_mark() -> None:
    import os
    import subprocess

    command = [sys.executable, "-c", "from ganguard.cli.main import main; main()", "train", "--help"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert "Fr?chet distance" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["audit"], "Missing argument"),
        (["atack"], "No such command 'atack'"),
        (["audit", "digits", "--frob"], "No such option"),
        (
            ["audit", "digist"],
            "unknown preset 'digist'; did you mean 'digits'? Known: accuracy-64",
        ),
        (["audit", "absent.yaml"], "no such spec file"),
        (
            ["audit", "digits", "--quick"],
            "--quick: digits has no quick form. With one: digits-accuracy, digits-accuracy-early",
        ),
        (
            ["attack", "transfer", "tiny", "--out", "x"],
            "transfer: the copy is moved to another domain. Give --domain",
        ),
        (["audit", "digits", "--set", "attaks=1"], "unknown key. Did you mean 'attacks'?"),
        (
            ["audit", "digits", "--set", "attacks.0.kind=fidelty"],
            "unknown attack 'fidelty'; did you mean 'fidelity'?",
        ),
        (
            ["audit", "digits", "--set", "attacks.0.query_budget=0"],
            "query_budget: input should be greater than 0; got 0",
        ),
        (["audit", "digits", "--set", "attacks.0.query_budget=2.5"], "must be a whole number; got 2.5"),
        (["train", "digitz", "--out", "x"], "unknown data set 'digitz'; did you mean 'digits'?"),
        (["train", "digits", "--out", "x", "--architecture", "sngam"], "did you mean 'sngan'?"),
        (["train", "digits", "--out", "x", "--set", "step=1"], "Did you mean 'steps'?"),
        (["train", "empty", "--out", "x"], "empty: holds no image files"),
        (["train", "digits", "--out", "x", "--device", "tpu"], "'cpu', 'cuda' or 'auto'"),
        (["harvest", "absent", "--out", "x"], "holds no checkpoint.json"),
        (["harvest", "model.pt", "--out", "x"], "looks like a pickle"),
        (["harvest", "absent", "--out", "x", "--count", "0"], "--count"),
        (["harvest", "python:nowhere:make", "--out", "x"], "no module 'nowhere'"),
        (["harvest", "python:nowhere", "--out", "x"], "module:factory"),
        (["harvest", "torchscript:g.pt", "--out", "x", "--latent-dim", "3"], "trusted: true"),
        (["harvest", "absent", "--out", "x", "--codes", "cleint"], "did you mean 'client'?"),
        (["attack", "fidelty", "absent", "--out", "x"], "did you mean 'fidelity'?"),
        (["attack", "fidelity", "absent", "--out", "x", "--query-budget", "-3"], "greater than 0; got -3"),
        (["measure", "", "digits"], "unknown data set ''"),
        (["measure", "digits", "absent"], "'absent': no such file or folder, and no data set of that name."),
        (["measure", "digits", "runs/absent"], "'runs/absent': no such file or folder"),
        (["train", "emty", "--out", "x"], "did you mean 'empty'?"),
        (["measure", "digits", "digits", "--features", "classifier"], "must be trained first"),
        (
            ["measure", "digits", "digits", "--features", "audits/no/features"],
            "Or give the `features` directory of an audit.",
        ),
        (["measure", "digits", "digitz", "--size", "16"], "did you mean 'digits'?"),
        (["report", "empty"], "results.json: no such file"),
        (["audi"], "No such command 'audi'. Did you mean 'audit'? See `ganguard --help`."),
        (
            ["audit", "digits", "--set", "attacks.0.step=1"],
            "attacks.0: fidelity.step: unknown key. Did you mean 'steps'?",
        ),
        (
            ["audit", "digits", "--set", "attacks.0.architecture={kind: sngan, deep: 1}"],
            "attacks.0: sngan.deep: unknown key",
        ),
        (
            ["train", "digits", "--out", "x", "--set", "architecture.width=8"],
            "architecture={kind: sngan, width: …}",
        ),
        (
            ["train", "digits", "--out", "x", "--size", "3"],
            "digits.size: input should be greater than or equal to 8; got 3",
        ),
        (["train", "empty", "--out", "x", "--size", "100000"], "size: must be a side of 1 to 8192 pixels"),
        (["measure", "empty", "empty", "--size", str(2**40)], "must be a side of 1 to 8192 pixels"),
        (["measure", "empty", "empty", "--size", "12x"], "or WIDTHxHEIGHT of such sides, as in 80x48"),
        (["train", "digits", "--out", "x", "--size", "12x20"], "digits.size: input should be a valid"),
        (["train", "image_folder", "--out", "x"], "Give its path in place of the name."),
        (
            ["train", "digits", "--out", "x", "--threads", "100000"],
            "threads: input should be less than or equal to 1024",
        ),
        (
            ["train", "digits", "--out", "x", "--set", f"batch_size={2**62}"],
            f"an array (of {2**62} x 128 numbers) that no memory can hold",
        ),
        (
            ["train", "digits", "--out", "x", "--set", f"architecture={{kind: sngan, width: {2**62}}}"],
            "that no memory can hold",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    cli: Cli, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert said in refused(cli, *arguments)
    assert not (tmp_path / "x" / "ledger.sqlite").exists()


def test_verbs_on_their_own(cli: Cli, tmp_path: Path) -> None:
    """Train, buy, steal, measure: each reads what the one before wrote."""
    tiny = ["--set", "n_dis=1", "--set", "batch_size=16"]
    code, out, _ = cli("train", "digits", "--out", "mine", "--steps", "6", *tiny)
    assert (code, out) == (0, "Checkpoint: mine/checkpoint\n")

    code, out, _ = cli("harvest", "mine/checkpoint", "--out", "bought", "--count", "70")
    assert code == 0
    assert "70 images in bought/data; account 'default' has bought 70 of 70." in out
    code, out, _ = cli("harvest", "mine/checkpoint", "--out", "bought", "--count", "50", "--budget", "100")
    assert "has bought 70 of 100" in out

    code, out, _ = cli(
        "attack",
        "fidelity",
        "mine/checkpoint",
        "--out",
        "copy",
        "--query-budget",
        "40",
        "--set",
        "steps=5",
        *tiny,
    )
    assert code == 0
    assert "Substitute from 40 queries: copy/checkpoint" in out

    code, out, _ = cli("measure", "copy/checkpoint", "bought", "--samples", "60")
    assert code == 0
    measured = json.loads(out)
    assert measured["images"] == [60, 60]
    assert measured["frechet_distance"] > 0
    said = "--size 16: neither A nor B has images that could be of another size"
    assert said in refused(cli, "measure", "copy/checkpoint", "bought", "--size", "16")
    code, out, _ = cli("measure", "bought", "bought", "--samples", "60")
    same = json.loads(out)
    assert same["frechet_distance"] == pytest.approx(0, abs=1e-6)
    assert (same["precision"], same["recall"], same["coverage"]) == (1, 1, 1)


def test_a_size_is_for_every_set_that_may_have_any(cli: Cli) -> None:
    """Of named data sets too: patches of 64x64 are other images than those of 32x32."""
    quality: set[float] = set()
    for size in ([], ["--size", "64"]):
        code, out, err = cli(
            "measure", "photo_patches", "photo_patches", "--metrics", "piqe", "--samples", "3", *size
        )
        assert code == 0, err
        quality.add(json.loads(out)["piqe"])
    assert len(quality) == 2


def test_a_set_is_measured_by_some_of_all_its_images() -> None:
    """Not by the first, which are of one class where files lie class by class."""
    images = Digits().load().images
    found = torch.cat(list(image_set("digits", 50, None, Compute(), silent, 0).parts()))
    rows = [(images == image).flatten(1).all(1).nonzero()[0, 0].item() for image in found]
    assert len(found) == 50
    assert max(rows) > 1500
    assert rows == sorted(rows)


def test_a_set_may_be_a_mapping_as_in_a_spec(cli: Cli) -> None:
    both = ("{kind: digits, classes: [0]}", "{kind: digits, classes: [1]}")
    code, out, err = cli("measure", *both, "--metrics", "psnr", "--samples", "50")
    assert code == 0, err
    assert json.loads(out)["images"] == [50, 50]
    assert "neither A nor B" in refused(cli, "measure", *both, "--size", "9")
    assert "unknown data set 'digitz'" in refused(cli, "measure", "{kind: digitz}", "digits")


def test_an_accuracy_attack_holds_real_images(cli: Cli, tiny_checkpoint: Callable[..., Path]) -> None:
    target = str(tiny_checkpoint(Path("mine")))
    common = (
        "--query-budget",
        "40",
        "--set",
        "steps=2",
        "--set",
        "real_steps=2",
        "--set",
        "judge_every=1",
        "--set",
        "batch_size=8",
    )
    code, _, err = cli("attack", "accuracy_partial_black_box", target, "--out", "copy", *common)
    assert (code, "Give --real, the data that the target was trained on" in err) == (2, True)
    for kind in ("accuracy_partial_black_box", "accuracy_white_box"):
        more = ("--set", "refining.steps=5") if kind == "accuracy_white_box" else ()
        code, out, err = cli("attack", kind, target, "--out", kind, "--real", "digits", *common, *more)
        assert (code, out) == (0, f"Substitute from 40 queries: {kind}/checkpoint\n"), err
        assert [step for step, _ in json.loads((Path(kind) / "judged.json").read_text())] == [0, 1, 2]


@pytest.mark.parametrize(
    "change", ["batch_size=1000000000000", "architecture={kind: sngan, width: 100000000}"]
)
def test_memory_that_is_not_to_be_had_is_one_line_and_exit_code_1(cli: Cli, change: str) -> None:
    code, out, err = cli("train", "digits", "--out", "x", "--set", change)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("failed: too little memory; ")
    assert err.splitlines()[-1].endswith(
        " bytes were wanted at once. Lower batch_size, width, threads or the number of images or processes."
    )


def test_what_went_wrong_in_a_process_of_an_audit_is_told_from_mistakes_of_ours() -> None:
    from ganguard.cli.main import _too_large

    for problem in (
        MemoryError(),
        RuntimeError("MemoryError: "),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ):
        said = _too_large(problem)
        assert said is not None
        assert said[0].startswith("failed: too little memory")
        assert said[1] == 1
    assert _too_large(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


def test_a_harvest_that_no_memory_holds_buys_nothing(cli: Cli, tiny_checkpoint: Callable[..., Path]) -> None:
    tiny_checkpoint(Path("a"))
    for verb in (
        ["harvest", "a", "--count", "1000000000000"],
        ["attack", "fidelity", "a", "--query-budget", "1000000000000"],
    ):
        assert "1,000,000,000,000 images of 8x8 pixels" in refused(cli, *verb, "--out", "x")
        assert not Path("x").exists()


def test_two_runs_in_one_directory_are_refused(cli: Cli, tiny_checkpoint: Callable[..., Path]) -> None:
    from ganguard.base.locks import alone

    tiny_checkpoint(Path("a"))
    with alone(Path("x")):
        for verb in (["train", "digits", "--steps", "1"], ["attack", "fidelity", "a", "--query-budget", "5"]):
            assert refused(cli, *verb, "--out", "x") == (
                "error: x: another run is at work here. Wait for it, or choose another --out.\n"
            )
    assert [path.name for path in Path("x").iterdir()] == [".lock"]


def test_a_spec_of_the_same_name_from_elsewhere_is_refused(cli: Cli, tmp_path: Path) -> None:
    from ganguard.audit.outcome.directory import take
    from ganguard.audit.spec.reading import presets, source_of

    for folder in ("a", "b", "shared"):
        Path(folder).mkdir()
    for folder in ("a", "b"):
        Path(folder, "spec.yaml").write_text(presets()["digits"])
    take(Path("shared"), "spec", source_of("a/spec.yaml"))
    said = refused(cli, "audit", "b/spec.yaml", "--out", "shared")
    assert (
        f"shared: holds the audit of {tmp_path}/a/spec.yaml, and this one is of {tmp_path}/b/spec.yaml."
        in said
    )
    assert source_of("digits") == "preset digits"


def test_the_size_of_data_that_can_be_of_any_is_taken() -> None:
    from ganguard.cli.options import dataset_of

    assert dataset_of("photo_patches", "16").model_dump()["size"] == 16
    assert dataset_of(".", "16").model_dump()["size"] == 16
    assert dataset_of(".", "24x16").model_dump()["size"] == "24x16"


def test_harvest_refuses_another_targets_store(cli: Cli, tiny_checkpoint: Callable[..., Path]) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        tiny_checkpoint(Path(name), seed=seed)
    assert cli("harvest", "a", "--out", "bought", "--count", "5")[0] == 0
    assert "holds another harvest" in refused(cli, "harvest", "b", "--out", "bought", "--count", "5")


def test_a_client_sends_its_codes_and_keeps_them(cli: Cli, tiny_checkpoint: Callable[..., Path]) -> None:
    import pandas

    tiny_checkpoint(Path("a"))
    assert cli("harvest", "a", "--out", "bought", "--count", "5", "--codes", "client")[0] == 0
    rows = pandas.read_parquet("bought/data")
    assert [len(latent) for latent in rows["latent"]] == [5] * 5
