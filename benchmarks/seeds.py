"""Seeds of simulated days on the command line: one number, or the first and the last."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser, default: str, of: str = "of the simulated days") -> None:
    """Give a parser the option ``--seeds``, a list of int."""

    def seeds(text: str) -> list[int]:
        first, _, last = text.partition("-")
        try:
            return list(range(int(first), int(last or first) + 1))
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text}: it must be one number, or the first and the last: {default}"
            ) from None

    parser.add_argument("--seeds", type=seeds, default=default, help=f"{of}, first-last (default {default})")
