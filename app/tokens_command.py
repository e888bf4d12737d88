"""``python -m app tokens``: the tokens of programs that use the API and ``/metrics``. A server that runs takes changes over."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime

from app.operators import Operators, TooManyTokens, fault_of_name
from app.settings import SettingsError, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="every token, by id and name")
    add = actions.add_parser("add", help="make a token; it is shown this once")
    add.add_argument("name", metavar="NAME", help="what it is for, like prometheus")
    remove = actions.add_parser("remove", help="refuse a token from now on")
    remove.add_argument("id", metavar="ID")


def run(options: argparse.Namespace) -> int:
    """Does one action. Status 1 with a sentence when it cannot be done."""
    try:
        operators = Operators(load().state_dir)
        if options.action == "add":
            return _add(operators, options.name)
        if options.action == "remove":
            return _remove(operators, options.id)
        return _list(operators)
    except SettingsError as error:
        return _sorry(str(error))


def _list(operators: Operators) -> int:
    tokens = operators.read().tokens
    for token in tokens:
        print(f"{token.token_id}  {datetime.fromtimestamp(token.created_at):%Y-%m-%d %H:%M}  {token.name}")
    if not tokens:
        print("There are no tokens.", file=sys.stderr)
    return 0


def _add(operators: Operators, name: str) -> int:
    fault = fault_of_name(name)
    if fault is not None:
        return _sorry(f"{fault[0].upper()}{fault[1:]}.")
    try:
        token, text = operators.add_token(name)
    except TooManyTokens as full:
        return _sorry(str(full))
    print(text)
    print(f"This is the token {token.token_id} ({name}): keep it, it is not shown again.", file=sys.stderr)
    return 0


def _remove(operators: Operators, token_id: str) -> int:
    if not operators.remove_token(token_id):
        return _sorry(f"There is no token {token_id}; `python -m app tokens list` shows those that there are.")
    print(f"The token {token_id} is refused from now on.")
    return 0


def _sorry(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1
