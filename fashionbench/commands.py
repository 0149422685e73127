"""How the command line runs: each command's parameters are made from ``options/``, and each mistake is one line."""

import inspect
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final

import typer

from fashionbench.errors import FashionBenchError, visible
from fashionbench.options.option import Option
from fashionbench.running.program import (
    SIGNALLED,
    exit_status,
    finding_lost_signals,
    interruptible,
    reliable_output,
    typed_command,
)

__all__ = ["run_app", "say", "with_options"]

EXIT_BAD_INPUT: Final = 2
EXIT_CTRL_C: Final = 130


def run_app(app: typer.Typer) -> None:
    """Run the command line; a user's mistake is one line on standard error and exit status 2."""
    with reliable_output(), interruptible() as received:
        try:
            with finding_lost_signals(received):
                status = app(standalone_mode=False)
        except typer.TyperException as error:
            from typer.rich_utils import rich_format_error

            shown: Any = error  # typed by a class that typer has no public name for
            shown.message = visible(error.message)  # it quotes what was typed
            rich_format_error(shown)
            raise SystemExit(error.exit_code) from None
        except FashionBenchError as error:
            say(f"fashionbench: {error}", err=True)
            raise SystemExit(EXIT_BAD_INPUT) from None
        except MemoryError:
            say("fashionbench: The memory is exhausted. Close other programs, or allow this one more.", err=True)
            raise SystemExit(EXIT_BAD_INPUT) from None
        except KeyboardInterrupt as interrupt:
            raise SystemExit(_say_interrupted(interrupt)) from None
        if status == EXIT_CTRL_C and received[:1] not in ([], [signal.SIGINT]):  # of typer, whatever the signal
            say("Interrupted", err=True)
            status = SIGNALLED + received[0]
        raise SystemExit(status)


def _say_interrupted(interrupt: KeyboardInterrupt) -> int:
    say("Interrupted. Continue with:", typed_command(os.environ, sys.argv, sys.orig_argv), err=True)
    return exit_status(interrupt)


def say(*lines: str, err: bool = False) -> None:
    """Write lines; what a terminal would obey in them, from a file or a model, is written as its escape."""
    for line in lines:
        typer.echo(visible(line), err=err)


def with_options(*taken: Option[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command some options; it receives what was given for them as ``given``.

    typer reads a command's signature, so each option becomes a parameter of the signature that typer sees.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def called(**values: object) -> None:
            given = {each.name: values.pop(each.name) for each in taken}
            for each in taken:
                each.read(given)  # what cannot be read is refused before anything heavy is imported
            try:
                command(**values, given=given)
            except KeyboardInterrupt as interrupt:
                raise typer.Exit(_say_interrupted(interrupt)) from None

        arguments = [each for each in inspect.signature(command).parameters.values() if each.name != "given"]
        parameters = [*arguments, *(_parameter(each) for each in taken)]
        called.__annotations__ = {each.name: each.annotation for each in parameters}
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect looks for it
        return called

    return decorate


def _parameter(option: Option[Any]) -> inspect.Parameter:
    shown = typer.Option(
        option.flag,
        help=option.help,
        metavar="" if option.is_flag else None,  # typer would show <bool> after a flag
        show_default=option.unset != "no" and (option.unset or True),
        rich_help_panel=option.group,
    )
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=False if option.is_flag else option.default,
        annotation=Annotated[bool, shown] if option.is_flag else Annotated[str, shown],
    )
