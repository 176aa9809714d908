"""Parsing of a command's options: dashes, files of options, and messages in the user's words."""

from __future__ import annotations

import re
from argparse import Action, ArgumentError
from collections import deque
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Any, TypeVar, get_origin, get_type_hints

from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from yolo.cli.config_file import check_group_files
from yolo.cli.help import CommandParser, dashed, kind_of, leaves_of, option_names, placeholder, positional_names
from yolo.cli.presets import RANKS, files_first, refuse_elsewhere
from yolo.cli.suggestions import suggest_option
from yolo.config_types import Range, describe, split_range
from yolo.errors import ConfigError, YoloError
from yolo.files.atomic import exists

Config = TypeVar("Config")

set_parsing_settings(docstring_parse_attribute_docstrings=True)


def make_parser(name: str, description: str, add_arguments: Callable[[ArgumentParser], None]) -> CommandParser:
    """Make the parser of one command, with the options that all commands have."""
    parser = CommandParser(prog=f"yolov3 {name}", description=description)
    add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the results alone, as one JSON object, on stdout")
    for action in parser._actions:
        if action.dest == "print_config":
            action.help = "print all options as YAML, for --config, and exit"
    return parser


def parse(
    name: str, description: str, add_arguments: Callable[[ArgumentParser], None], arguments: list[str]
) -> Namespace:
    """Parse the arguments of one command; for commands with --resume, ``given`` holds only the typed options.

    Typed options override those of --config files, which override presets, wherever they stand.

    Raises:
        ConfigError: an argument is unknown, has a wrong value, or stands where it has no effect.
    """
    parser = make_parser(name, description, add_arguments)
    words = [underscored(word) for word in arguments]
    chosen = chosen_parser(parser, words)
    check_known(chosen, words)
    check_group_files(chosen, words)
    known = parser.get_defaults()
    if "preset" in known:
        words = files_first(words)
    words = options_first(chosen, words)
    try:
        found = parser.parse_args(words)
        if "resume" in known:
            found.given = parser.parse_args(words, defaults=False)
        if found.get("data", "") is None:
            take_data(parser, found)
    except YoloError:
        raise
    except (ArgumentError, TypeError, ValueError) as error:
        raise ConfigError(f"{explain(error, chosen, words)} (see `{chosen.prog} --help`)") from error
    refuse_elsewhere(found)
    return found


def options_first(parser: CommandParser, words: list[str]) -> list[str]:
    """Move positional arguments behind the options: argparse gives up where optional ones stand among options.

    Args:
        parser: parser of the command, or of the subcommand that the words name.
        words: all words of the command, the subcommand included.
    """
    begin = words.index(parser.prog.rpartition(" ")[2]) + 1 if parser.prog.count(" ") > 1 else 0
    options: list[str] = []
    positionals: list[str] = []
    ended: list[str] = []
    waiting = deque(words[begin:])
    while waiting:
        word = waiting.popleft()
        if word == "--":
            return [*words[:begin], *options, "--", *positionals, *waiting]
        name, equals, _ = word.partition("=")
        if not (word.startswith("-") and is_known(parser, name)):
            positionals.append(word)
            continue
        action = parser._option_string_actions.get(name)
        options.append(word)
        values = 0 if equals else least_values(action)
        if len(waiting) < values:
            return [*words[:begin], *options[:-1], *positionals, word, *waiting]  # a value is missing
        options += [waiting.popleft() for _ in range(values)]
        if action is not None and action.nargs == "+":
            ended = ["--"]  # else it takes the positional arguments too
            while waiting and fits(action, waiting[0]):
                options.append(waiting.popleft())
    return [*words[:begin], *options, *ended, *positionals]


def least_values(action: Action | None) -> int:
    """Smallest number of values that an option takes; None: the name of a value in an option of names."""
    nargs = None if action is None else action.nargs
    return nargs if isinstance(nargs, int) and nargs > 1 else int(nargs in (None, "+"))


def fits(action: Action, word: str) -> bool:
    """Whether a word is one more value of an option that takes several: one of its words, or a number."""
    kinds = leaves_of(kind_of(action))
    return word in kinds or (int in kinds and word.isdecimal())


def underscored(argument: str) -> str:
    """``--warmup-epochs`` as ``--warmup_epochs``, but ``--no-rect``: options are named after Python fields."""
    if not argument.startswith("--"):
        return argument
    option, equals, value = argument.partition("=")
    if option == "--":
        return argument
    start = "--no-" if option.startswith(("--no-", "--no_")) else "--"
    return start + option[len(start) :].replace("-", "_") + equals + value


def take_data(parser: ArgumentParser, found: Namespace) -> None:
    """Set DATA, if none was typed, to that of the last --config file which names one."""
    for file in reversed(found.get("config") or []):
        values = parser.parse_path(file, defaults=False, _skip_validation=True)
        if values.get("data") is not None:
            found.data = found.given.data = values.data
            return


def check_known(parser: CommandParser, words: list[str]) -> None:
    """Refuse unknown and abbreviated options, as the parser would take their values for other arguments.

    Raises:
        ConfigError: an option is unknown; a similar one is suggested.
    """
    typed = words[: words.index("--")] if "--" in words else words
    for word in typed:
        option = word.partition("=")[0]
        if re.match(r"--?[A-Za-z]", option) and not is_known(parser, option):
            advice = suggest_option(dashed(option), option_names(parser), positional_names(parser))
            raise ConfigError(f"unknown option {dashed(option)}{advice} (see `{parser.prog} --help-all`)")


def chosen_parser(parser: CommandParser, words: list[str]) -> CommandParser:
    """Choose the parser of the subcommand that the words name; without subcommands, the command's own.

    Raises:
        ConfigError: the words name no subcommand.
    """
    name = next((word for word in words if not word.startswith("-")), None)
    if not parser.subparsers or (name is None and {"-h", "--help", "--help_all"} & {*words}):
        return parser
    if name not in parser.subparsers:
        fault = "name an action" if name is None else f"no action {name!r}"
        raise ConfigError(f"{fault}; there is {', '.join(parser.subparsers)} (see `{parser.prog} --help`)")
    return parser.subparsers[name]


def is_known(parser: CommandParser, option: str) -> bool:
    """Whether the parser has an option; those with names as values also take ``--option.name``."""
    options = parser._option_string_actions
    owner = options.get(option.rpartition(".")[0])
    return option in options or (owner is not None and get_origin(kind_of(owner)) is dict)


def explain(error: Exception, parser: ArgumentParser, words: list[str]) -> str:
    """Rewrite the parser's message about a wrong argument with the names that the user typed."""
    files = ", ".join(name for option, name in pairwise(words) if option in RANKS)
    phrases: list[tuple[str, Callable[[re.Match[str]], str]]] = [
        (r"(?:Group '(.+?)' does not accept option|Option) '(.+?)'", lambda found: unknown_key(found, parser, files)),
        (r"File does not exist: '(.*?)'", lambda found: f"{found[1]}: no such file; give a YAML file of options"),
        (r"Problems parsing config: (.*)", lambda found: f"{files}: not a YAML file of options: {found[1]}"),
        (r"arguments are required: (.*)", lambda found: f"missing: {as_typed(found[1], parser)}"),
        (r"unrecognized arguments: (.*)", lambda found: f"unexpected argument {found[1]}"),
        (r"argument (--\S+): expected (?:at least )?one argument", lambda found: f"{dashed(found[1])} needs a value"),
        (r"argument (--\S+): expected (\d+) arguments", lambda found: f"{dashed(found[1])} needs {found[2]} values"),
        (
            r'Parser key "(.+?)"(?: element \d+)?:.*(?:Got|Given) value: (.*)',
            lambda found: wrong_value(found, parser, words, files),
        ),
    ]
    for pattern, phrase in phrases:
        if found := re.search(pattern, str(error), re.DOTALL):
            return phrase(found)
    return str(error)


def unknown_key(found: re.Match[str], parser: ArgumentParser, files: str) -> str:
    """Message about an unknown option in a file."""
    name = ".".join(part for part in found.groups() if part)
    advice = suggest_option(dashed(name), option_names(parser), ()).replace("--", "").replace("-", "_")
    return f"{files}: unknown option {name}{advice}"


def as_typed(names: str, parser: ArgumentParser) -> str:
    """Convert names in the parser's messages to the options or arguments that they stand for."""
    actions = {each.dest: each for each in parser._actions}
    chosen = [actions[name.rpartition(".")[2]] for name in names.split(", ")]
    return ", ".join(dashed(each.option_strings[0]) if each.option_strings else placeholder(each) for each in chosen)


def wrong_value(found: re.Match[str], parser: ArgumentParser, words: list[str], files: str) -> str:
    """Message that names an option, its allowed values and, if it was not typed, the file that it comes from."""
    key, value = found.groups()
    actions = {each.dest: each for each in parser._actions}
    action = actions.get(key) or actions.get(key := key.rpartition(".")[2])  # without the name of a subcommand
    kind = describe(kind_of(action)) if action else "another value"
    option, value = f"--{key}", value.strip()
    typed = f"{option}={value}" in words or (option, value) in pairwise(words)
    return f"{'' if typed or not files else files + ': '}{key} must be {kind}, got {value}"


def as_option(message: str, arguments: list[str]) -> str:
    """Put ``--learning-rate`` for ``learning_rate`` at the beginning of a message, if that option was typed."""
    name = re.split(r":? ", message, maxsplit=1)[0]
    typed = {underscored(argument).partition("=")[0] for argument in arguments}
    # A message may also begin with the path of a file or folder that has an option's name, such as `out`.
    return f"--{dashed(name)}{message[len(name) :]}" if f"--{name}" in typed and not exists(name) else message


def add_config(parser: ArgumentParser, config: type) -> None:
    """Add an option for every field of a configuration dataclass, with its docstring and its range as help."""
    parser.add_class_arguments(config)
    limits, kinds = field_ranges(config), get_type_hints(config)
    for action in parser._actions:
        action.limits = limits.get(action.dest)  # type: ignore[attr-defined]
        if is_dataclass(kinds.get(action.dest)):
            action.metavar, action.help = "FILE", "YAML file of the options below"


def field_ranges(config: type, group: str = "") -> dict[str, Range]:
    """Ranges of the fields of a configuration dataclass, those of nested ones by names such as ``loss.box_weight``."""
    ranges: dict[str, Range] = {}
    for name, annotation in get_type_hints(config, include_extras=True).items():
        limits = split_range(annotation)[1]
        if is_dataclass(annotation):
            ranges |= field_ranges(annotation, f"{group}{name}.")  # type: ignore[arg-type]
        elif limits is not None:
            ranges[group + name] = limits
    return ranges


def make_config(config: type[Config], arguments: Namespace) -> Config:
    """Make the dataclass from its options."""
    values = {}
    for item in fields(config):  # type: ignore[arg-type]
        if item.name in arguments:
            value = arguments[item.name]
            # A nested configuration arrives as a namespace; its class is the field's default factory.
            nested: Any = item.default_factory
            values[item.name] = nested(**value.as_dict()) if isinstance(value, Namespace) else value
    return config(**values)
