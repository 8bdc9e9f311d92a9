"""python -m samotion.export.parity: hold our networks, in PyTorch and as ONNX graphs, against published answers."""

import argparse
import sys
from pathlib import Path

from samotion.engines.errors import InputError, SamotionError
from samotion.export.parity.compare import Row, compare

MOST_SEED = 2**63 - 1


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, 1 if an array is past its bound, 2 for cases that cannot be used."""
    options = _parser().parse_args(argv)
    try:
        files = _files(options.cases)
        manifests = _manifests(options.cases, options.manifests)
    except SamotionError as error:
        return _fail(error)
    print(f"{'case':24} {'array':20} {'PyTorch':>9} {'ONNX':>9} {'bound':>7}")
    status, rows = 0, []
    for file in files:
        try:
            for row in compare(file, options.seed, manifests):
                print(_line(row), flush=True)
                rows.append(row)
        except SamotionError as error:
            status = _fail(error)
    past = sum(not row.good for row in rows)
    compared = sum(row.bound is not None for row in rows)
    print(f"{compared} arrays compared, {past} past their bound; {len(rows) - compared} not compared")
    return status or int(past > 0)


def _files(cases: Path) -> list[Path]:
    folder = cases / "golden"
    if not (found := sorted(folder.glob("*.npz"))):
        raise InputError(f"{folder}: no case files (*.npz) found; name the folder that holds golden/ with --cases")
    return found


def _manifests(cases: Path, named: Path | None) -> Path:
    """Return the folder of checkpoint layouts; one that the user names must be there."""
    if named is not None and not named.is_dir():
        raise InputError(f"{named}: no such folder; name one of checkpoint layouts NAME.json with --manifests")
    return named or cases / "manifests"


def _line(row: Row) -> str:
    cells = ["-" if value is None else f"{value:.1e}" for value in (row.pytorch, row.onnx, row.bound)]
    line = f"{row.case:24} {row.array:20} {cells[0]:>9} {cells[1]:>9} {cells[2]:>7}"
    return f"{line}  {'' if row.good else 'PAST ITS BOUND '}{row.note}".rstrip()


def _fail(error: SamotionError) -> int:
    print(f"parity: error: {error}", file=sys.stderr, flush=True)
    return 2


def _seed(text: str) -> int:
    """Read a seed."""
    if not text.isdecimal() or int(text) > MOST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; expected a whole number from 0 to {MOST_SEED}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m samotion.export.parity",
        description="Compare every case file in DIR/golden with our networks on weights drawn by the same rule, in "
        "PyTorch and exported to ONNX Runtime. Errors are relative, but furthest distances for tracks (pixels) and "
        "probabilities.",
    )
    add = parser.add_argument
    add("--cases", metavar="DIR", type=Path, required=True, help="folder with golden/*.npz")
    add("--seed", metavar="N", type=_seed, default=0, help="seed of the cases' weights and images (default: 0)")
    add("--manifests", metavar="DIR", type=Path, help="checkpoint layouts NAME.json (default: CASES/manifests)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
