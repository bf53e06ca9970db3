"""Templates of pages that need no other file."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template


def environment(templates: Path) -> Environment:
    """Return the environment of the templates in a folder.

    A page's values are escaped, and a value that it is not given is an error.
    """
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def template(name: str) -> Template:
    """Return the template of one of the report's pages."""
    return environment(Path(__file__).parent / "templates").get_template(name)
