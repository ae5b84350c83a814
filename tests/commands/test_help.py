"""Help pages: one line for each command, examples that parse, options that say what their settings say."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from goemo_cli.app import COMMANDS, app
from goemo_cli.commands._help import Page, page_of, plain_text
from goemo_cli.core.settings import LossName, setting_field, setting_names

ROOT = typer.main.get_command(app)


def pages(command: Any = ROOT, name: str = "goemo", parent: Any = None) -> Iterator[tuple[str, Page]]:
    """The help page of every command and group, by what is typed."""
    ctx = command.make_context(name, [], parent=parent, resilient_parsing=True)
    yield ctx.command_path, page_of(command, ctx)
    for subcommand in command.list_commands(ctx) if hasattr(command, "list_commands") else ():
        yield from pages(command.get_command(ctx, subcommand), subcommand, ctx)


PAGES = dict(pages())


def parse(words: list[str], command: Any = ROOT, name: str = "goemo", parent: Any = None) -> None:
    """Read a command line as goemo does, without running the command."""
    if not hasattr(command, "list_commands"):
        command.make_context(name, words, parent=parent)
        return
    ctx = command.make_context(name, [], parent=parent, resilient_parsing=True)
    is_named = words[0] in command.list_commands(ctx)  # goemo sweep FILE is goemo sweep run FILE
    subcommand = words[0] if is_named else "run"
    parse(words[1:] if is_named else words, command.get_command(ctx, subcommand), subcommand, ctx)


def test_each_command_is_listed_with_the_first_line_of_its_help_page() -> None:
    listed = {f"goemo {name}": text for group in COMMANDS.values() for name, text in group.items()}
    assert listed == {name: PAGES[name].paragraphs[0] for name in listed}
    assert set(listed) == {" ".join(name.split()[:2]) for name in PAGES if name != "goemo"}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_examples_that_parse_and_no_names_of_types(name: str) -> None:
    page = PAGES[name]
    assert page.examples
    for example in page.examples:
        assert example.startswith(name.replace("sweep run", "sweep")), example
        parse(shlex.split(example)[1:])
    for left in (left for rows in page.sections.values() for left in rows):
        assert "<" not in left, left
        assert "[[" not in page.usage
    assert max(len(line) for line in plain_text(page).splitlines() if not line.startswith("  goemo")) <= 80


@pytest.mark.parametrize(("name", "columns"), [("goemo", 80), ("goemo runs", 120)])
def test_a_terminal_shows_panels_in_its_width_and_a_pipe_plain_text_of_80_columns(
    name: str, columns: int
) -> None:
    command = f"{sys.executable} -m {name.replace('goemo', 'goemo_cli')} --help"
    program = f"stty cols {columns}; exec {command}"
    shown = subprocess.run(
        ["script", "-qec", f"bash -c {shlex.quote(program)}", "/dev/null"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
    ).stdout
    lines = [line for line in shown.splitlines() if line.startswith("\x1b[2m╭")]
    assert lines
    plain = subprocess.run(
        command.split(), capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    ).stdout
    assert not set("╭─│╰") & set(plain)
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 80
    for text in (text for group in COMMANDS.values() for text in group.values()) if name == "goemo" else ():
        assert text in plain
        assert text in shown  # not cut, not wrapped


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("serve --checkpoint @tiny", "No such option: --checkpoint; the run is an argument: goemo serve RUN"),
        ("runs show --run @tiny", "No such option: --run; the run is an argument: goemo runs show RUN"),
        ("errors -c @tiny", "No such option: -c; the run is an argument: goemo errors RUN"),
        ("tune --run @tiny", "No such option: --run (Possible options: --checkpoint)"),
        ("figures -c @tiny", "No such option: -c (Possible options: --run)"),
        ("tune @tiny", "argument(s) ('@tiny'); a run is named by --checkpoint RUN"),
        ("figures @tiny @tfidf", "argument(s) ('@tiny', '@tfidf'); a run is named by --run RUN"),
        ("explain @tiny hello", "argument(s) ('hello'); a run is named by --checkpoint RUN"),
        ("distill --teacher @best --model tiny", "No such option: --model (Possible options: --student)"),
        ("predict --data a.csv", "No such option: --data (Possible options: --input)"),
        ("train --learning-rate 1", "No such option: --learning-rate (Possible options: --lr)"),
        ("train --epoch 1", "No such option: --epoch (Possible options: --epochs)"),
        ("models extra", "Got unexpected extra argument(s) (extra)\n"),
    ],
)
def test_an_option_of_another_command_gets_the_name_that_it_has_here(arguments: str, said: str) -> None:
    found = CliRunner().invoke(app, arguments.split())
    assert found.exit_code == 2
    assert said in found.stderr


def test_an_option_of_a_setting_has_its_text_choices_and_bounds() -> None:
    page = PAGES["goemo train"]
    rows = {left.split()[0]: text for rows in page.sections.values() for left, text in rows.items()}
    loss = setting_field("training.loss")
    assert rows["--loss"] == f"{loss.description} [{', '.join(get_args(LossName))}; default: {loss.default}]"
    assert "x>0" in rows["--lr"]
    assert "default: by model" in rows["--epochs"]
    assert rows["--data-dir"] == setting_field("data.dir").description


def test_every_setting_has_a_description() -> None:
    assert [name for name in setting_names() if not setting_field(name).description] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train --loss hinge", "Invalid value for '--loss': 'hinge' is not one of 'bce', 'weighted_bce'"),
        ("train --lr -1", "Invalid value for '--lr': should be greater than 0, not -1.0"),
        ("tune -c x --recall-floor 2", "Invalid value for '--recall-floor': should be less than 1, not 2.0"),
        ("predict --wandb-mode dryrun text", "Invalid value for '--wandb-mode': 'dryrun' is not one of"),
        ("errors @latest --split tset", "Invalid value for '--split': tset is not a split: train, val, test"),
        ("trian", "No such command 'trian'. Did you mean 'train'?"),
    ],
)
def test_a_bad_value_names_its_option_and_what_is_allowed(arguments: str, said: str) -> None:
    done = CliRunner().invoke(app, shlex.split(arguments))
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
