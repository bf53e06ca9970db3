"""Read a spec from a YAML file or a preset, with `like:` and changes from the command line."""

from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from ganguard.audit.spec.spec import Spec
from ganguard.base.errors import SpecError, unknown_name
from ganguard.base.settings import LONGEST_YAML, TooLarge, apply_changes, parse, read_bounded, read_yaml
from ganguard.base.text_files import decoded
from ganguard.targets import TARGETS


def presets() -> dict[str, str]:
    """Return the name and the YAML text of every preset, in the order of their names."""
    folder = files("ganguard.audit") / "presets"
    found = {
        Path(file.name).stem: file.read_text() for file in folder.iterdir() if file.name.endswith(".yaml")
    }
    return dict(sorted(found.items()))


def read_spec(spec: str, changes: list[str]) -> tuple[str, Spec]:
    """Return the name and the parsed spec of a YAML file or a preset.

    Args:
        spec: path of a YAML file, or name of a preset. With `like: PRESET`, that preset gives all values that
            the spec leaves out.
        changes: made to the spec, in the form "target.train.steps=100".

    Raises SpecError, with one line that names the wrong key.
    """
    name, text = _named(spec)
    return name, parse(Spec, apply_changes(_values(text, spec), changes), "spec")


def audits_listed(spec: str) -> tuple[str, list[str]]:
    """Return the name of a YAML file or a preset, and the specs that it lists under `audits`.

    They are run one after the other. There are none if it is the spec of one audit. Raises SpecError if the
    list is wrong.
    """
    name, text = _named(spec)
    if (values := _listing(text, spec)) is None:
        return name, []
    listed: Any = values["audits"]
    good = isinstance(listed, list) and len(listed) > 1 and all(isinstance(item, str) for item in listed)
    if len(values) > 1 or not good or len({Path(item).stem for item in listed}) < len(listed):
        raise SpecError(
            f"{spec}: audits must be a list of two or more presets or spec files with different names, and "
            "the only key."
        )
    if nested := [item for item in listed if _listing(_named(item)[1], item)]:
        raise SpecError(f"{spec}: audits: {nested[0]} lists audits itself. Name those.")
    return name, listed


def _listing(text: str, spec: str) -> dict[str, Any] | None:
    """Return the values of a spec that lists audits, or None if it is the spec of one audit."""
    found = read_yaml(text, spec)
    return cast(dict[str, Any], found) if isinstance(found, dict) and "audits" in found else None


def _named(spec: str) -> tuple[str, str]:
    """Return the name and the text of a YAML file or a preset. Raises SpecError if there is none."""
    path = Path(spec)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        if not path.is_file():
            raise SpecError(f"{path}: no such spec file. Known presets: {', '.join(presets())}")
        return path.stem, _text(path)
    if spec in presets():
        return spec, presets()[spec]
    raise SpecError(unknown_name("preset", spec, list(presets())) + ". Or give the path of a .yaml file.")


def _values(text: str, spec: str, beneath: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the values of a spec, laid over those of the preset that it is like.

    beneath: the specs that led here by `like:`.
    """
    found = read_yaml(text, spec)
    if not isinstance(found, dict):
        raise SpecError(
            f"{spec}: a spec is a mapping with keys like target, real, attacks; got {type(found).__name__}."
        )
    values = cast(dict[str, Any], found)
    if "like" not in values:
        return values
    like, others = values.pop("like"), presets()
    if not isinstance(like, str) or like not in others or like in beneath:
        raise SpecError(f"{spec}: like: " + unknown_name("preset", like, list(others)))
    if listing := _listing(others[like], like):
        raise SpecError(
            f"{spec}: like: {like} lists audits: {', '.join(listing['audits'])}. Name one of them."
        )
    return _laid_over(_values(others[like], like, (*beneath, spec)), values)


def _laid_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return the values of both mappings. `over` wins, and mappings within them are merged in turn.

    A mapping of another kind replaces the one under it: settings of one kind mean nothing to another.
    """
    both = dict(over)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            both[key] = _laid_over(under[key], value)
    named = {"train", *TARGETS.table()}  # a target has one of these keys in place of a `kind`
    of_another_kind = (
        over.get("kind", under.get("kind")) != under.get("kind") or (over.keys() & named) - under.keys()
    )
    return both if of_another_kind else under | both


def _text(path: Path) -> str:
    """Return the text of a spec file. Raises SpecError if it is too large."""
    try:
        content = read_bounded(path, 4 * LONGEST_YAML)
    except TooLarge:
        raise SpecError(
            f"{path}: {path.stat().st_size:,} bytes; at most {LONGEST_YAML:,} characters are read."
        ) from None
    return decoded(content, "replace")


def source_of(spec: str) -> str:
    """Return where `read_spec` takes a spec from: the full path of its file, or the preset's name."""
    path = Path(spec)
    return str(path.resolve()) if path.suffix in (".yaml", ".yml") or path.is_file() else f"preset {spec}"
