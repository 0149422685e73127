"""How a command of the command line gets its options: typer's parameters are made from ``options/``."""

import inspect
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from fashionbench.errors import visible
from fashionbench.options.option import Option
from fashionbench.running.program import exit_status, typed_command

__all__ = ["with_options"]


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
                typer.echo("Interrupted. Continue with:", err=True)
                typer.echo(visible(typed_command(os.environ, sys.argv, sys.orig_argv)), err=True)
                raise typer.Exit(exit_status(interrupt)) from None

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
