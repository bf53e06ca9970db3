"""`ganguard check`: before an audit, does everything open, how does it look, and what will it cost?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganguard.cli.options import Changes, SpecDevice

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor

    from ganguard.audit.check.looks import Nearness, Pixels
    from ganguard.audit.check.run import Checked
    from ganguard.audit.spec.spec import Spec


def check(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC|PRESET",
            help="As for `ganguard audit`: a YAML file, or a preset.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Directory of the audit.", show_default="audits/<name>")
    ] = None,
    changes: Changes = None,
    images: Annotated[
        int,
        typer.Option(
            min=1,
            max=4096,
            help="Images of the target to look at. Of a target on another machine without a `reference` they "
            "are bought: they are the first that its audit buys.",
        ),
    ] = 64,
    device: SpecDevice = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Steps that the audit will run at once.", show_default="one for each core"),
    ] = None,
) -> None:
    """Check an audit before it runs: open everything, look at the target, and tell what it will cost.

    Opens the real images, the target, the features and the attacks, and names everything that is wrong, not
    only the first. Makes 64 images of the target and shows them beside real ones, in `OUT/check.png` and in a
    terminal with colours. Prints their range, whether they depend on how they are asked for, the speed, the
    memory, and how far they are from real images, beside noise. Times a few steps of every training, and
    tells minutes, disk, images, and money at the spec's `price` for an image.

    Nothing is trained. What was opened is kept in OUT, and `ganguard audit` goes on from there.

    Exit code: 0 if the audit can begin, 2 if something is wrong, and 1 if only another machine failed.

    Example: `ganguard check mine.yaml`
    """
    from ganguard.audit.several import planned_audits
    from ganguard.audit.spec.reading import audits_listed, read_spec, source_of
    from ganguard.cli.options import with_device

    changes = with_device(changes, device)
    name, listed = audits_listed(spec)
    directory = out or Path("audits") / name
    codes = {0}
    for each in listed or [spec]:
        named, parsed = read_spec(each, changes)
        audits = planned_audits({named: (source_of(each), parsed)})
        if parsed.target_seeds:  # the trainings of all are alike
            typer.echo(f"{named}: {len(audits)} targets, of which the first is checked.")
        elif listed:
            typer.echo(f"{each}:")
        first, planned = next(iter(audits.items()))
        there = directory / first if listed or parsed.target_seeds else directory
        found = _checked(first, planned.spec, there, images, processes, planned.source)
        _print(found, parsed)
        if found.opened.problems:
            codes.add(2 if found.opened.bad_input else 1)
    if code := max(codes):
        raise typer.Exit(code)


def _checked(
    name: str, spec: "Spec", directory: Path, images: int, processes: int | None, source: str
) -> "Checked":
    """Run the check, and show its progress."""
    from ganguard.audit.check.run import check as run_check
    from ganguard.cli.display import console, display

    with display() as shown:
        return run_check(
            name,
            spec,
            directory,
            images=images,
            processes=processes,
            listener=shown,
            say=lambda what: console().print(f"… {what}", soft_wrap=True),
            source=source,
        )


def _print(found: "Checked", spec: "Spec") -> None:
    """Print what a check found."""
    from rich.console import Console

    from ganguard.cli.audit_plan import cost_lines, gpu_line
    from ganguard.cli.terminal_pictures import side_by_side

    shown = Console(highlight=False)
    real = found.look.real if found.look else None
    if found.look and real is not None and _shows_pictures(shown):
        shown.print(side_by_side(found.look.images, real, shown.width))
    for line in [*_opened(found), *_looked(found), *_memory(found)]:
        shown.print(line, soft_wrap=True)
    if found.estimate:
        for line in cost_lines(found.estimate, spec):
            shown.print(line, soft_wrap=True)
    if line := gpu_line(spec):
        shown.print(line, style="bold", soft_wrap=True)
    if found.picture:
        shown.print(f"Picture: {found.picture}", soft_wrap=True)
    _print_findings(shown, found)


def _shows_pictures(shown: "Console") -> bool:
    """Return whether a terminal has the colours and the letters for pictures."""
    colours = shown.is_terminal and shown.color_system in ("256", "truecolor")
    return bool(colours) and shown.encoding.lower().startswith("utf")


def _print_findings(shown: "Console", found: "Checked") -> None:
    """Print remarks and problems, and how it all stands."""
    for remark in found.opened.remarks:
        shown.print(f"! {remark}", style="bold", soft_wrap=True)
    for where, problem in found.opened.problems:
        shown.print(f"✗ {where}: {problem}", style="bold red", soft_wrap=True)
    if problems := len(found.opened.problems):
        things = "1 thing is wrong" if problems == 1 else f"{problems} things are wrong"
        typer.echo(f"error: {things}, named above. Nothing was trained.", err=True)
    else:
        shown.print("The audit can begin.")


def _opened(found: "Checked") -> list[str]:
    """Return what is said of the real images."""
    if found.real is None:
        return []
    images = found.real.images
    return [f"Real: {len(images):,} images of {_shape(images)} (channels × height × width)."]


def _looked(found: "Checked") -> list[str]:
    """Return what is said of the target's images."""
    if found.to_train:
        return [
            "Target: the audit trains it, so that there are no images of it yet; an untrained one stood in."
        ]
    look = found.look
    if look is None:
        return []
    bought = f" {look.bought:,} were bought; the audit does not buy them again." if look.bought else ""
    pure = {None: "not asked for twice, since each image costs", "": "the same alone, in part and twice"}
    lines = [
        f"Target: {len(look.images):,} images of {_shape(look.images)}.{bought}",
        *([f"Can be asked for {look.asked}."] if look.asked else []),
        f"Range: target {_range(look.pixels)}; real {_range(look.real_pixels)}.",
        f"Purity: {pure.get(look.impure, look.impure)}.",
        f"Speed: {_speed(look.seconds)}.",
    ]
    return [*lines, *([_near(look.nearness)] if look.nearness else [])]


def _speed(seconds: float | None) -> str:
    """Return what is said of the time that an image takes."""
    if seconds is None:
        return "not measured, since all of them were bought before"
    a_second = 1 / max(seconds, 1e-9)
    return f"{a_second:,.0f} images a second" if a_second >= 10 else f"{a_second:.2g} images a second"


def _shape(images: "Tensor") -> str:
    return "×".join(map(str, images.shape[1:]))


def _range(pixels: "Pixels") -> str:
    """Return what is said of the range of pixels."""
    return (
        f"{pixels.low} to {pixels.high}, 98 % of the pixels in {pixels.dark} to {pixels.light}, "
        f"{pixels.levels} levels"
    )


def _near(near: "Nearness") -> str:
    """Return what is said of how near the target is to real images."""
    said = [
        f"{who} → real {value:.3g} ± {error:.2g}"
        for who, (value, error) in (
            ("target", near.target),
            ("noise", near.noise),
            ("other real images", near.real),
        )
    ]
    return (
        f"Distance: {', '.join(said)} (kernel distance of {near.images} images each on {near.network}; lower "
        "is nearer)."
    )


def _memory(found: "Checked") -> list[str]:
    """Return what is said of memory."""
    held, on_gpu = found.memory
    gpu = f", and {on_gpu / 1e9:.1f} GB on the GPU" if on_gpu else ""
    return [f"Memory: this check took at most {held / 1e9:.1f} GB{gpu}."]
