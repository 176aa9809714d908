"""Help texts of the commands: the everyday options with `--help`, all of them in groups with `--help-all`."""

from __future__ import annotations

import shutil
import textwrap
from argparse import SUPPRESS, Action, HelpFormatter
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from jsonargparse import ArgumentParser

EVERYDAY = {
    "yolov3 train": (
        "data val resume model weights size epochs batch learning_rate patience augment.flip augment.mosaic "
        "out config preset help help_all json"
    ),
    "yolov3 eval": (
        "weights data detections compare split images classes cfg names size runtime "
        "batch conf iou nms label_errors folds out force help help_all json"
    ),
    "yolov3 export": (
        "weights format for out outputs size batch dynamic fixed precision conf iou nms data split force "
        "help help_all json"
    ),
    "yolov3 tune": "data trials space val model weights size epochs batch out config help help_all json",
}
"""Options that `--help` shows of a command with many options; of other commands it shows all."""

SECTIONS = (
    *("arguments", "options", "metrics", "search", "data", "model", "runtime", "run", "training", "optimizer", "loss"),
    *("augmentation", "hosts", "general"),
)
"""Order of the groups of options; groups not listed follow."""

GENERAL = ("help", "help_all", "config", "print_config", "preset", "json")
"""Options of the command line itself, shown in the last group."""

FIELDS = {
    "data": "cache workers rare_classes multi_scale",
    "optimizer": "optimizer learning_rate schedule step_at final_rate warmup_epochs weight_decay momentum clip_norm "
    "accumulate",
    "training": "epochs batch patience freeze unfreeze_at unfrozen_rate ema seed",
}
"""Groups of the fields of `TrainConfig`; other fields belong to the run."""

NO_BREAK = "\N{NO-BREAK SPACE}"

COLUMN = 26
"""Column in which the descriptions begin."""


class CommandParser(ArgumentParser):
    """Parser of one command, whose help comes in two lengths."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, exit_on_error=False, **options)
        self.subparsers: dict[str, CommandParser] = {}
        self.subcommand: str | None = None
        self.add_argument("--help_all", action=ShowAll, help="show all options and exit")

    def add_commands(self, dest: str, rows: Mapping[str, tuple[str, Callable[[ArgumentParser], None]]]) -> None:
        """Add subcommands.

        Args:
            dest: name of the argument that holds the chosen one.
            rows: description and ``add_arguments`` of each.
        """
        self.subcommand, group = dest, self.add_subcommands(dest=dest, required=True)
        for name, (text, add_arguments) in rows.items():
            parser = CommandParser(description=text)
            add_arguments(parser)
            group.add_subcommand(name, parser, help=text)
            parser.prog = f"{self.prog} {name}"
            self.subparsers[name] = parser
        group.help = "action: " + "; ".join(f"{name} ({text})" for name, (text, _) in rows.items())

    def format_help(self, formatter: HelpFormatter | None = None) -> str:  # noqa: ARG002 - argparse's
        """Format the help of the everyday options."""
        return render(self, whole=False)


class ShowAll(Action):
    """Option that prints the help of all options and exits."""

    def __init__(self, option_strings: list[str], dest: str, help: str) -> None:  # noqa: A002, ARG002 - argparse's
        super().__init__(option_strings, SUPPRESS, nargs=0, default=SUPPRESS, help=help)

    def __call__(self, parser: Any, *_: Any) -> None:
        print(render(parser, whole=True), end="")
        parser.exit()


def dashed(option: str) -> str:
    """``--warmup_epochs`` as ``--warmup-epochs``."""
    return option.replace("_", "-")


def option_names(parser: ArgumentParser) -> list[str]:
    """All options of a parser with dashes; those that append to a list (``--callbacks+``) are skipped."""
    options = parser._option_string_actions.items()
    return [dashed(option) for option, action in options if not option.endswith("+") and not is_hidden(action)]


def positional_names(parser: ArgumentParser) -> list[str]:
    """Names of a parser's positional arguments, such as ``DATA``."""
    return [placeholder(action) for action in parser._get_positional_actions()]


def render(parser: CommandParser, *, whole: bool) -> str:
    """Format the help text of a command.

    Args:
        parser: parser of the command.
        whole: show all options rather than the everyday ones.
    """
    everyday = None if whole or parser.prog not in EVERYDAY else set(EVERYDAY[parser.prog].split())
    words = [occurrence(action) for action in parser._get_positional_actions()]
    lines = [f"usage: {' '.join([parser.prog, *words, '[options]'])}", "", f"{capitalised(parser.description or '')}."]
    for name, actions in sections(parser).items():
        shown = [action for action in actions if everyday is None or name_of(action) in everyday]
        if shown:
            lines += ["", f"{name}:", *(line for action in shown for line in entry(action))]
    if everyday is not None:
        lines += ["", f"These are the everyday options; `{parser.prog} --help-all` shows all of them."]
    return "\n".join(lines) + "\n"


def name_of(action: Action) -> str:
    """Python name of an action: that of its longest option, else of its argument."""
    return action.option_strings[-1].lstrip("-").rstrip("+") if action.option_strings else action.dest


def sections(parser: ArgumentParser) -> dict[str, list[Action]]:
    """Actions by the title of their group, in the order of `SECTIONS`."""
    found: dict[str, list[Action]] = {title: [] for title in SECTIONS}
    for group in parser._action_groups:
        for action in group._group_actions:
            if not is_hidden(action):
                found.setdefault(section_of(action, group.title or ""), []).append(action)
    return found


def is_hidden(action: Action) -> bool:
    """Whether help skips an option: jsonargparse adds one for shtab."""
    return SUPPRESS in str(action.help)


def section_of(action: Action, title: str) -> str:
    """Title under which an action is shown.

    Args:
        action: an option or argument.
        title: title of its group in the parser.
    """
    if not action.option_strings:
        return "arguments"
    if name_of(action) in GENERAL:
        return "general"
    group = action.dest.partition(".")[0]
    if group in ("loss", "augment"):
        return {"loss": "loss", "augment": "augmentation"}[group]
    if title != CONFIG_TITLE:
        return title
    return next((name for name, rows in FIELDS.items() if action.dest in rows.split()), "run")


CONFIG_TITLE = "Options of a training run"
"""Title that jsonargparse gives to the fields of `TrainConfig`: the first line of its docstring."""


def entry(action: Action) -> list[str]:
    """Format the lines of one option or argument."""
    names = [dashed(option) for option in action.option_strings if not option.endswith("+")]
    takes_value = action.nargs != 0 and name_of(action) != "print_config"
    head = "  " + f"{', '.join(names)} {placeholder(action) if takes_value else ''}".strip()
    head += "..." if names and action.nargs == "+" else ""
    width = min(shutil.get_terminal_size().columns, 110) - COLUMN
    wrapped = textwrap.wrap(capitalised(text_of(action)), max(width, 30), break_on_hyphens=False) or [""]
    lines = [line.replace(NO_BREAK, " ") for line in wrapped]
    if len(head) > COLUMN - 2:
        lines, head = ["", *lines], head.ljust(COLUMN)
    return [f"{head:<{COLUMN}}{lines[0]}".rstrip(), *(" " * COLUMN + line for line in lines[1:])]


def occurrence(action: Action) -> str:
    """Positional argument in the usage: ``[DATA]`` if optional, ``SOURCE...`` if repeatable."""
    name = placeholder(action)
    return {"?": f"[{name}]", "+": f"{name}...", "A...": f"{name} ..."}.get(str(action.nargs), name)


def placeholder(action: Action) -> str:
    """Placeholder of an option's value: ``N`` and ``X`` for numbers, else the option's name."""
    if isinstance(action.metavar, str) and action.metavar[0] not in "{[":  # jsonargparse's own
        return action.metavar
    kinds = leaves_of(kind_of(action))
    number = next((letter for kind, letter in ((float, "X"), (int, "N")) if kind in kinds), None)
    name = number if number and str not in kinds else action.dest.rpartition(".")[2].upper()
    if dict in kinds:
        return "{NAME: NAME,...}"
    return f"[{number or 'NAME'},...]" if list in kinds else "NAME" if choices_of(action) else name


def kind_of(action: Action) -> Any:
    """Type of an option's value."""
    return getattr(action, "_typehint", None) or action.type or str


def leaves_of(kind: Any) -> list[Any]:
    """Plain types within a type, and the values of literals; for a list or dict also list or dict itself."""
    parts, origin = get_args(kind), get_origin(kind)
    if origin is Literal or not parts:
        return list(parts) or [kind]
    return [*([origin] if origin in (list, dict) else []), *(leaf for part in parts for leaf in leaves_of(part))]


def choices_of(action: Action) -> list[str]:
    """Words that an option accepts; empty if it also accepts other values."""
    leaves = [leaf for leaf in leaves_of(kind_of(action)) if leaf is not NoneType]
    return leaves if all(isinstance(leaf, str) for leaf in leaves) else []


def text_of(action: Action) -> str:
    """Description of an option with its choices, range and default."""
    text, found, default = " ".join(str(action.help or "").split()).rstrip(".)").partition(" (default: ")
    if not found:
        text = " ".join(str(action.help or "").split()).rstrip(".")
        default = readable(action.default)
    limits = getattr(action, "limits", None)
    details = [
        ", ".join(choices_of(action)),
        limits.in_words().replace(" ", NO_BREAK) if limits else "",
        default and f"default: {default}",
    ]
    known = "; ".join(detail for detail in details if detail)
    return f"{text} ({known})" if known else text


def readable(default: Any) -> str:
    """Default as it would be typed; empty for a switch or if there is none."""
    if default is None or isinstance(default, bool) or default in (SUPPRESS, "", [], {}):
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default).replace(" ", "")


def capitalised(text: str) -> str:
    """Capitalise the first letter of a text."""
    return text[:1].upper() + text[1:]
